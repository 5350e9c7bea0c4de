/* As much of H.264's arithmetic coding (ITU-T H.264, 9.3) as macroblocks need that hold plain samples (I_PCM). */
#ifndef CABAC_H
#define CABAC_H

#include <stddef.h>
#include <stdint.h>

enum slice { SLICE_P, SLICE_B, SLICE_I };

struct bits {
    uint8_t *data;
    size_t size, room; /* in bits, and in bytes */
};

void put_bit(struct bits *bits, int bit);
void put_number(struct bits *bits, unsigned number, int length);
void put_golomb(struct bits *bits, unsigned number);

/* Append a unit without, or with, the bytes that keep start codes out of it. */
void unescape(struct bits *bits, const uint8_t *unit, size_t size);
void escape(struct bits *bits, const uint8_t *unit, size_t size);

/* Append the macroblocks of a slice that is a whole frame of 4:2:0: `planes` are NV12, with `stride` bytes in a line. */
void put_samples(struct bits *bits, enum slice type, int qp, int cabac, const uint8_t *luma, const uint8_t *chroma, int stride, int across,
                 int down);

#endif
