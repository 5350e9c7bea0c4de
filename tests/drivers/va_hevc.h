/* H.265 behind VA-API: each picture is of intra blocks that x265 makes for FFmpeg's parameter sets, whatever FFmpeg would have it refer to. */
#ifndef VA_HEVC_H
#define VA_HEVC_H

#include "cabac.h"

struct va_picture {
    int width, height, coded_width, coded_height, stride, ten_bits;
    const uint8_t *luma, *chroma; /* NV12 or, with ten bits, P010 */
    int qp, init_qp, kind, order; /* `kind`: of its unit; `order`: in which it is shown */
};

/* Append the unit of a picture; `encoder` is NULL before the first one. Returns 0 on failure. */
int put_va_hevc(void **encoder, const struct va_picture *picture, struct bits *bits);
void close_va_hevc(void *encoder);

#endif
