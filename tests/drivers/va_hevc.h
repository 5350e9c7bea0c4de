/* H.265 behind VA-API: each picture is a keyframe of x265 with parameter sets of its own, as FFmpeg's have no plain samples. */
#ifndef VA_HEVC_H
#define VA_HEVC_H

#include <stdint.h>

/* Encode NV12 or, with ten bits, P010; `encoder` is NULL before the first picture. Returns the size of `data`, 0 on failure. */
int encode_va_hevc(void **encoder, int width, int height, int ten_bits, int qp, const uint8_t *luma, const uint8_t *chroma, int stride,
                   const uint8_t **data);
void close_va_hevc(void *encoder);

#endif
