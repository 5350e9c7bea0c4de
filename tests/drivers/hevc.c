#include "encoder.h"

#include <stdlib.h>
#include <string.h>
#include <x265.h>

struct encoder {
    const x265_api *api;
    x265_param *param;
    x265_encoder *encoder;
};

static void *open_hevc(const struct settings *settings)
{
    const NV_ENC_CONFIG *config = &settings->config;
    const NV_ENC_CONFIG_HEVC *own = &config->encodeCodecConfig.hevcConfig;
    const NV_ENC_RC_PARAMS *rate = &config->rcParams;
    struct encoder *made = calloc(1, sizeof *made);
    made->api = x265_api_get(settings->ten_bits ? 10 : 8);
    if (!made->api) {
        free(made);
        return NULL;
    }
    x265_param *param = made->param = made->api->param_alloc();
    made->api->param_default_preset(param, "ultrafast", "zerolatency");
    param->logLevel = X265_LOG_NONE;
    param->frameNumThreads = 1;
    made->api->param_parse(param, "pools", "none");
    param->sourceWidth = settings->width;
    param->sourceHeight = settings->height;
    param->internalCsp = settings->full_chroma ? X265_CSP_I444 : X265_CSP_I420;
    param->fpsNum = settings->rate_num;
    param->fpsDenom = settings->rate_den;
    param->vui.aspectRatioIdc = X265_EXTENDED_SAR;
    param->vui.sarWidth = settings->sar_num;
    param->vui.sarHeight = settings->sar_den;
    param->vui.bEnableVideoSignalTypePresentFlag = own->hevcVUIParameters.videoSignalTypePresentFlag;
    param->vui.bEnableVideoFullRangeFlag = own->hevcVUIParameters.videoFullRangeFlag;
    param->vui.videoFormat = own->hevcVUIParameters.videoFormat;
    if (own->hevcVUIParameters.colourDescriptionPresentFlag) {
        param->vui.bEnableColorDescriptionPresentFlag = 1;
        param->vui.colorPrimaries = own->hevcVUIParameters.colourPrimaries;
        param->vui.transferCharacteristics = own->hevcVUIParameters.transferCharacteristics;
        param->vui.matrixCoeffs = own->hevcVUIParameters.colourMatrix;
    }
    param->keyframeMax = config->gopLength == NVENC_INFINITE_GOPLENGTH ? -1 : (int)config->gopLength;
    param->keyframeMin = param->keyframeMax;
    param->bOpenGOP = 0;
    param->bframes = config->frameIntervalP > 1 ? config->frameIntervalP - 1 : 0;
    param->lookaheadDepth = param->bframes ? param->bframes + 1 : 0;
    if (own->maxNumRefFramesInDPB)
        param->maxNumReferences = own->maxNumRefFramesInDPB;
    if (own->numRefL0)
        param->maxNumReferences = own->numRefL0;
    param->bRepeatHeaders = own->repeatSPSPPS;
    param->bAnnexB = 1;
    param->bLossless = settings->lossless;
    if (rate->rateControlMode == NV_ENC_PARAMS_RC_CONSTQP && !settings->lossless) {
        param->rc.rateControlMode = X265_RC_CQP;
        param->rc.qp = rate->constQP.qpInterP;
    } else if (rate->targetQuality || !rate->averageBitRate) {
        param->rc.rateControlMode = X265_RC_CRF;
        param->rc.rfConstant = rate->targetQuality ? rate->targetQuality + rate->targetQualityLSB / 256.0 : 28;
    } else {
        param->rc.rateControlMode = X265_RC_ABR;
        param->rc.bitrate = rate->averageBitRate / 1000;
    }
    if (rate->vbvBufferSize && rate->maxBitRate) {
        param->rc.vbvMaxBitrate = rate->maxBitRate / 1000;
        param->rc.vbvBufferSize = rate->vbvBufferSize / 1000;
    }
    made->encoder = made->api->encoder_open(param);
    if (made->encoder)
        return made;
    made->api->param_free(param);
    free(made);
    return NULL;
}

static int headers_hevc(void *opaque, uint8_t *into, int room)
{
    struct encoder *own = opaque;
    x265_nal *nals;
    uint32_t count;
    int size = 0;
    if (own->api->encoder_headers(own->encoder, &nals, &count) < 0)
        return -1;
    for (uint32_t i = 0; i < count && size + (int)nals[i].sizeBytes <= room; i++) {
        memcpy(into + size, nals[i].payload, nals[i].sizeBytes);
        size += nals[i].sizeBytes;
    }
    return size;
}

static int encode_hevc(void *opaque, const struct picture *given, struct packet *packet)
{
    struct encoder *own = opaque;
    x265_picture in, out;
    x265_nal *nals;
    uint32_t count = 0;
    own->api->picture_init(own->param, &in);
    own->api->picture_init(own->param, &out);
    if (given) {
        in.pts = given->pts;
        in.sliceType = given->key ? X265_TYPE_IDR : X265_TYPE_AUTO;
        for (int i = 0; i < 3; i++) {
            in.planes[i] = given->planes[i];
            in.stride[i] = given->strides[i];
        }
    }
    int got = own->api->encoder_encode(own->encoder, &nals, &count, given ? &in : NULL, &out);
    if (got <= 0 || !count)
        return got < 0 ? -1 : 0;
    packet->data = nals[0].payload; /* NAL units lie one after the other */
    packet->size = 0;
    for (uint32_t i = 0; i < count; i++)
        packet->size += nals[i].sizeBytes;
    packet->pts = out.pts;
    packet->type = out.sliceType == X265_TYPE_IDR   ? NV_ENC_PIC_TYPE_IDR
                   : IS_X265_TYPE_B(out.sliceType) ? NV_ENC_PIC_TYPE_B
                                                   : NV_ENC_PIC_TYPE_P;
    return 1;
}

static void close_hevc(void *opaque)
{
    struct encoder *own = opaque;
    own->api->encoder_close(own->encoder);
    own->api->param_free(own->param);
    free(own);
}

const struct codec hevc = {open_hevc, headers_hevc, encode_hevc, close_hevc};
