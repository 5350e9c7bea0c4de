/* What a driver for tests does wrong: read anew for each session from the file "faults" beside it, lines of a name and a number. */
#ifndef FAULTS_H
#define FAULTS_H

#define FAULTS(X)                                                                                                              \
    X(no_device)     /* there is none */                                                                                       \
    X(old_driver)    /* its interface is older than what FFmpeg needs */                                                       \
    X(reserve_gib)   /* address space that a context takes, and hardly uses, as those of real cards do */                      \
    X(sessions)      /* so many at once, all processes together; 0: any number */                                              \
    X(client_key)    /* the one too many is refused as "incompatible client key", not as "out of memory" */                    \
    X(fail_init)     /* no encoder can be initialized */                                                                       \
    X(fail_at)       /* the n-th picture of a session fails; so on */                                                          \
    X(fail_flush)                                                                                                              \
    X(crash_open)    /* the process dies when a session is opened */                                                           \
    X(crash_at)                                                                                                                \
    X(hang_open)                                                                                                               \
    X(hang_at)                                                                                                                 \
    X(damaged_at)    /* from the n-th packet on, nothing can be decoded */                                                     \
    X(green_at)      /* from the n-th picture on, all are green */                                                             \
    X(repeat_at)     /* from the n-th picture on, all are like the one before */                                               \
    X(times_at)      /* from the n-th packet on, times are wrong */                                                            \
    X(no_10bit)                                                                                                                \
    X(no_444)                                                                                                                  \
    X(no_lossless)                                                                                                             \
    X(no_refs)       /* the number of reference frames cannot be chosen */                                                     \
    X(b_frames_h264) /* most B-frames, less one: 1 means none, 0 the usual number */                                           \
    X(b_frames_hevc)                                                                                                           \
    X(max_width)                                                                                                               \
    X(min_width)     /* by default 145 of NVENC, 32 of VA-API */                                                               \
    X(low_power_only) /* of VA-API: there is no other entry point */                                                           \
    X(only_cqp)      /* of VA-API: no rate control but a constant quantizer */                                                 \
    X(no_qvbr)       /* of VA-API */                                                                                           \
    X(bad_node)      /* of VA-API: the render node of this number has no driver */

struct faults {
#define FIELD(name) int name;
    FAULTS(FIELD)
#undef FIELD
};

struct faults read_faults(void);

/* Write the path of a file beside the driver to `path`, which has room for PATH_MAX. */
void path_beside(char *path, const char *name);

/* Take one of so many sessions until the returned descriptor is closed, or its process is gone. -1: all are taken. */
int take_session(int sessions);

#endif
