"""Write a plan as the ffmpeg command line that would do the same, as far as ffmpeg can."""
