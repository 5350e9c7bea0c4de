#include "encoder.h"

#include <string.h>
#include <x264.h>

static int same(GUID a, GUID b) { return !memcmp(&a, &b, sizeof a); }

static void *open_h264(const struct settings *settings)
{
    const NV_ENC_CONFIG *config = &settings->config;
    const NV_ENC_CONFIG_H264 *own = &config->encodeCodecConfig.h264Config;
    const NV_ENC_RC_PARAMS *rate = &config->rcParams;
    x264_param_t param;
    x264_param_default_preset(&param, "ultrafast", "zerolatency");
    param.i_log_level = X264_LOG_NONE;
    param.i_threads = 1;
    param.b_sliced_threads = 0;
    param.i_width = settings->width;
    param.i_height = settings->height;
    param.i_csp = settings->full_chroma ? X264_CSP_I444 : X264_CSP_I420;
    param.i_fps_num = settings->rate_num;
    param.i_fps_den = settings->rate_den;
    param.i_timebase_num = settings->rate_den;
    param.i_timebase_den = settings->rate_num;
    param.vui.i_sar_width = settings->sar_num;
    param.vui.i_sar_height = settings->sar_den;
    param.vui.b_fullrange = own->h264VUIParameters.videoFullRangeFlag;
    if (own->h264VUIParameters.colourDescriptionPresentFlag) {
        param.vui.i_colorprim = own->h264VUIParameters.colourPrimaries;
        param.vui.i_transfer = own->h264VUIParameters.transferCharacteristics;
        param.vui.i_colmatrix = own->h264VUIParameters.colourMatrix;
    }
    param.i_keyint_max = config->gopLength == NVENC_INFINITE_GOPLENGTH ? X264_KEYINT_MAX_INFINITE : config->gopLength;
    param.i_bframe = config->frameIntervalP > 1 ? config->frameIntervalP - 1 : 0;
    param.i_bframe_adaptive = X264_B_ADAPT_NONE;
    if (own->maxNumRefFrames)
        param.i_frame_reference = own->maxNumRefFrames;
    if (own->numRefL0) /* what FFmpeg says for "refs" */
        param.i_frame_reference = own->numRefL0;
    param.b_repeat_headers = own->repeatSPSPPS;
    param.b_aud = own->outputAUD;
    if (settings->lossless) {
        param.rc.i_rc_method = X264_RC_CQP;
        param.rc.i_qp_constant = 0;
    } else if (rate->rateControlMode == NV_ENC_PARAMS_RC_CONSTQP) {
        param.rc.i_rc_method = X264_RC_CQP;
        param.rc.i_qp_constant = rate->constQP.qpInterP;
    } else if (rate->targetQuality || !rate->averageBitRate) {
        param.rc.i_rc_method = X264_RC_CRF;
        param.rc.f_rf_constant = rate->targetQuality ? rate->targetQuality + rate->targetQualityLSB / 256.0 : 23;
    } else {
        param.rc.i_rc_method = X264_RC_ABR;
        param.rc.i_bitrate = rate->averageBitRate / 1000;
    }
    if (rate->vbvBufferSize && rate->maxBitRate) {
        param.rc.i_vbv_max_bitrate = rate->maxBitRate / 1000;
        param.rc.i_vbv_buffer_size = rate->vbvBufferSize / 1000;
    }
    const char *profile = same(config->profileGUID, NV_ENC_H264_PROFILE_BASELINE_GUID) ? "baseline"
                          : same(config->profileGUID, NV_ENC_H264_PROFILE_MAIN_GUID)   ? "main"
                          : same(config->profileGUID, NV_ENC_H264_PROFILE_HIGH_GUID)   ? "high"
                                                                                       : "high444";
    param.analyse.b_transform_8x8 = profile[0] == 'h'; /* else High looks like Main */
    param.b_cabac = profile[0] != 'b';
    if (!settings->lossless && x264_param_apply_profile(&param, profile))
        return NULL;
    return x264_encoder_open(&param);
}

static int headers_h264(void *encoder, uint8_t *into, int room)
{
    x264_nal_t *nals;
    int count, size = 0;
    if (x264_encoder_headers(encoder, &nals, &count) < 0)
        return -1;
    for (int i = 0; i < count && size + nals[i].i_payload <= room; i++) {
        memcpy(into + size, nals[i].p_payload, nals[i].i_payload);
        size += nals[i].i_payload;
    }
    return size;
}

static int encode_h264(void *encoder, const struct picture *given, struct packet *packet)
{
    x264_picture_t in, out;
    x264_param_t param;
    x264_nal_t *nals;
    int count;
    if (!given && !x264_encoder_delayed_frames(encoder))
        return 0;
    if (given) {
        x264_encoder_parameters(encoder, &param);
        x264_picture_init(&in);
        in.i_type = given->key ? X264_TYPE_IDR : X264_TYPE_AUTO;
        in.i_pts = given->pts;
        in.img.i_csp = param.i_csp;
        in.img.i_plane = 3;
        for (int i = 0; i < 3; i++) {
            in.img.plane[i] = given->planes[i];
            in.img.i_stride[i] = given->strides[i];
        }
    }
    packet->size = x264_encoder_encode(encoder, &nals, &count, given ? &in : NULL, &out);
    if (packet->size <= 0)
        return packet->size;
    packet->data = nals[0].p_payload;
    packet->pts = out.i_pts;
    packet->type = out.b_keyframe           ? NV_ENC_PIC_TYPE_IDR
                   : IS_X264_TYPE_B(out.i_type) ? NV_ENC_PIC_TYPE_B
                                                : NV_ENC_PIC_TYPE_P;
    return 1;
}

static void close_h264(void *encoder) { x264_encoder_close(encoder); }

const struct codec h264 = {open_h264, headers_h264, encode_h264, close_h264};
