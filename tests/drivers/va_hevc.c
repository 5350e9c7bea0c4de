#include "va_hevc.h"

#include <stdlib.h>
#include <x265.h>

#define ORDER_BITS 12 /* as FFmpeg writes it */

struct encoder {
    const x265_api *api;
    x265_param *param;
    x265_encoder *encoder;
    uint8_t *planes[3];
};

static struct encoder *open_encoder(int width, int height, int ten_bits, int qp)
{
    struct encoder *own = calloc(1, sizeof *own);
    own->api = x265_api_get(ten_bits ? 10 : 8);
    if (!own->api) {
        free(own);
        return NULL;
    }
    x265_param *param = own->param = own->api->param_alloc();
    own->api->param_default_preset(param, "ultrafast", "zerolatency");
    param->logLevel = X265_LOG_NONE;
    param->frameNumThreads = 1;
    own->api->param_parse(param, "pools", "none");
    param->sourceWidth = width;
    param->sourceHeight = height;
    param->internalCsp = X265_CSP_I420;
    param->fpsNum = 25;
    param->fpsDenom = 1;
    param->keyframeMax = 1;
    param->bRepeatHeaders = 0;
    param->bAnnexB = 1;
    param->bEmitInfoSEI = 0;
    param->rc.rateControlMode = X265_RC_CQP;
    param->rc.qp = qp;
    param->rc.ipFactor = 1;
    param->rc.aqMode = X265_AQ_NONE;
    /* as FFmpeg's sequence parameter set has it for a driver that says nothing of this */
    param->maxCUSize = 32;
    param->minCUSize = 8;
    param->maxTUSize = 32;
    param->tuQTMaxIntraDepth = 4;
    param->bEnableSAO = 0;
    param->bEnableStrongIntraSmoothing = 0;
    param->bEnableSignHiding = 0;
    param->bEnableWavefront = 0;
    param->bEnableTransformSkip = 0;
    own->encoder = own->api->encoder_open(param);
    for (int i = 0; i < 3; i++)
        own->planes[i] = malloc((size_t)width * height * 2);
    return own;
}

/* Where the data of a slice begins in its unit without escapes, and its QP: a keyframe of x265's says little else. */
static size_t data_of(const uint8_t *slice, size_t size, int *qp)
{
    size_t place = 8 * 2 + 1 + 1 + 1 + 3; /* the unit's header, two flags, the number of its set, its type */
    unsigned number = 1;
    int zeros = 0;
    for (; place < 8 * size && !(slice[place / 8] >> (7 - place % 8) & 1); place++)
        zeros++;
    place++;
    for (int i = 0; i < zeros; i++, place++)
        number = number << 1 | (slice[place / 8] >> (7 - place % 8) & 1);
    *qp = 26 + (number % 2 ? -(int)(number / 2) : (int)(number / 2));
    return (place + 1) / 8 + 1; /* a flag, and one bit at least that aligns */
}

static void put_slice(struct bits *bits, const struct va_picture *picture, const uint8_t *slice, size_t size)
{
    int qp, is_key = picture->kind >= 16 && picture->kind < 24, is_idr = picture->kind == 19 || picture->kind == 20;
    size_t begin = data_of(slice, size, &qp);
    put_number(bits, picture->kind << 9 | 1, 16);
    put_bit(bits, 1); /* the first slice */
    if (is_key)
        put_bit(bits, 0);
    put_golomb(bits, 0); /* of the first set of pictures */
    put_golomb(bits, 2); /* intra blocks only */
    if (!is_idr) {
        put_number(bits, picture->order, ORDER_BITS);
        put_bit(bits, 0); /* a list of its own of what it refers to: */
        put_golomb(bits, 0);
        put_golomb(bits, 0);
    }
    int change = qp - picture->init_qp;
    put_golomb(bits, change > 0 ? 2 * change - 1 : -2 * change);
    put_bit(bits, 1); /* filters work across slices */
    put_bit(bits, 1);
    while (bits->size % 8)
        put_bit(bits, 0);
    for (size_t i = begin; i < size; i++)
        put_number(bits, slice[i], 8);
}

/* A plane of the coded size, whose edges go on beyond the picture's: every `step`-th sample of a line, from `first` on. */
static void fill(uint8_t *to, const struct va_picture *from, const uint8_t *plane, int shift, int step, int first)
{
    int width = (from->width + shift) >> shift, height = (from->height + shift) >> shift, across = from->coded_width >> shift;
    for (int y = 0; y < from->coded_height >> shift; y++)
        for (int x = 0; x < across; x++) {
            const uint8_t *line = plane + (size_t)(y < height ? y : height - 1) * from->stride;
            int place = step * (x < width ? x : width - 1) + first;
            if (from->ten_bits) /* P010 has its ten bits above */
                ((uint16_t *)to)[(size_t)y * across + x] = ((const uint16_t *)line)[place] >> 6;
            else
                to[(size_t)y * across + x] = line[place];
        }
}

static int encoded(struct encoder *own, const struct va_picture *given, x265_nal **nals, uint32_t *count)
{
    x265_picture in, out;
    own->api->picture_init(own->param, &in);
    own->api->picture_init(own->param, &out);
    in.bitDepth = given->ten_bits ? 10 : 8;
    for (int i = 0; i < 3; i++) {
        fill(own->planes[i], given, i ? given->chroma : given->luma, !!i, i ? 2 : 1, i == 2);
        in.planes[i] = own->planes[i];
        in.stride[i] = (given->coded_width >> !!i) * (given->ten_bits ? 2 : 1);
    }
    return own->api->encoder_encode(own->encoder, nals, count, &in, &out);
}

int put_va_hevc(void **encoder, const struct va_picture *picture, struct bits *bits)
{
    if (!*encoder)
        *encoder = open_encoder(picture->coded_width, picture->coded_height, picture->ten_bits, picture->qp);
    struct encoder *own = *encoder;
    x265_nal *nals;
    uint32_t count = 0;
    if (!own || !own->encoder || encoded(own, picture, &nals, &count) <= 0)
        return 0;
    const x265_nal *last = &nals[count - 1];
    struct bits plain = {0}, slice = {0};
    int start = last->payload[2] == 1 ? 3 : 4;
    unescape(&plain, last->payload + start, last->sizeBytes - start);
    put_slice(&slice, picture, plain.data, plain.size / 8);
    put_number(bits, 1, 32);
    escape(bits, slice.data, slice.size / 8);
    free(plain.data);
    free(slice.data);
    return 1;
}

void close_va_hevc(void *encoder)
{
    struct encoder *own = encoder;
    if (!own)
        return;
    if (own->encoder)
        own->api->encoder_close(own->encoder);
    own->api->param_free(own->param);
    for (int i = 0; i < 3; i++)
        free(own->planes[i]);
    free(own);
}
