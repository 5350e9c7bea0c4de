#include "va_hevc.h"

#include <stdlib.h>
#include <x265.h>

struct encoder {
    const x265_api *api;
    x265_param *param;
    x265_encoder *encoder;
    uint8_t *planes[2]; /* chroma, which x265 wants apart */
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
    param->bRepeatHeaders = 1;
    param->bAnnexB = 1;
    param->bEmitInfoSEI = 0;
    param->rc.rateControlMode = X265_RC_CQP;
    param->rc.qp = qp;
    own->encoder = own->api->encoder_open(param);
    for (int i = 0; i < 2; i++)
        own->planes[i] = malloc((size_t)width * height);
    return own;
}

int encode_va_hevc(void **encoder, int width, int height, int ten_bits, int qp, const uint8_t *luma, const uint8_t *chroma, int stride,
                   const uint8_t **data)
{
    if (!*encoder)
        *encoder = open_encoder(width, height, ten_bits, qp);
    struct encoder *own = *encoder;
    if (!own || !own->encoder)
        return 0;
    x265_picture in, out;
    own->api->picture_init(own->param, &in);
    own->api->picture_init(own->param, &out);
    int across = (width + 1) / 2, down = (height + 1) / 2, bytes = ten_bits ? 2 : 1;
    for (int y = 0; y < down; y++)
        for (int x = 0; x < across; x++)
            for (int i = 0; i < 2; i++) {
                const uint8_t *from = chroma + (size_t)y * stride + (2 * x + i) * bytes;
                uint8_t *to = own->planes[i] + ((size_t)y * across + x) * bytes;
                if (ten_bits) /* P010 has its ten bits above */
                    *(uint16_t *)to = *(const uint16_t *)from >> 6;
                else
                    *to = *from;
            }
    uint16_t *deep = NULL;
    if (ten_bits) {
        deep = malloc((size_t)width * height * 2);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                deep[(size_t)y * width + x] = ((const uint16_t *)(luma + (size_t)y * stride))[x] >> 6;
    }
    in.bitDepth = ten_bits ? 10 : 8;
    in.planes[0] = deep ? (void *)deep : (void *)luma;
    in.stride[0] = deep ? width * 2 : stride;
    in.planes[1] = own->planes[0];
    in.planes[2] = own->planes[1];
    in.stride[1] = in.stride[2] = across * bytes;
    x265_nal *nals;
    uint32_t count = 0;
    int got = own->api->encoder_encode(own->encoder, &nals, &count, &in, &out), size = 0;
    free(deep);
    for (uint32_t i = 0; got > 0 && i < count; i++)
        size += nals[i].sizeBytes;
    *data = size ? nals[0].payload : NULL; /* NAL units lie one after the other */
    return size;
}

void close_va_hevc(void *encoder)
{
    struct encoder *own = encoder;
    if (!own)
        return;
    if (own->encoder)
        own->api->encoder_close(own->encoder);
    own->api->param_free(own->param);
    free(own->planes[0]);
    free(own->planes[1]);
    free(own);
}
