/* What encodes behind the interface of NVENC. Both encoders give the packets of a picture as soon as they have them, in one thread. */
#ifndef ENCODER_H
#define ENCODER_H

#include <stdint.h>

#include <nvEncodeAPI.h>

enum { MOST_BYTES = 1 << 23 };

struct settings {
    int width, height, rate_num, rate_den, sar_num, sar_den, ten_bits, full_chroma, lossless, headers_apart;
    NV_ENC_CONFIG config;
};

struct picture {
    uint8_t *planes[3];
    int strides[3];
    int64_t pts;
    int key;
};

struct packet {
    uint8_t *data;
    int size, type; /* NV_ENC_PIC_TYPE */
    int64_t pts;
};

struct codec {
    void *(*open)(const struct settings *);
    int (*headers)(void *, uint8_t *, int);
    /* NULL: what is left. Returns 1 with a packet, 0 without, -1 on failure. The data is valid until the next call. */
    int (*encode)(void *, const struct picture *, struct packet *);
    void (*close)(void *);
};

extern const struct codec h264, hevc;

#endif
