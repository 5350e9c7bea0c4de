/* libnvidia-encode.so.1: NVENC's interface, in the version that FFmpeg of the wheels asks for, before encoders of software.

   Structures are those of nvEncodeAPI.h 11.1 or later: versions up to 13.0 only put new fields into reserved ones.
   What hardware does at once is done at once: pictures lie in memory, and packets are ready when `nvEncEncodePicture` returns. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "encoder.h"
#include "faults.h"

enum { VERSION = 13 << 4, OLD_VERSION = 11 << 4 | 1, MOST_WAITING = 256, MIN_WIDTH = 145, MIN_HEIGHT = 49, MAX_WIDTH = 8192, MAX_H264 = 4096 };

struct input {
    NV_ENC_BUFFER_FORMAT format;
    int pitch, height;
    uint8_t *data;
};

struct output {
    struct packet packet;
    int filled;
};

struct session {
    struct faults faults;
    int lock, pictures, packets;
    const struct codec *codec;
    void *encoder;
    struct settings settings;
    struct output *waiting[MOST_WAITING]; /* filled in the order in which they were given */
    int first, end;
    uint8_t *held; /* the last good picture, for the fault "repeat" */
    uint16_t *deep;
    char error[128];
};

static int same(GUID a, GUID b) { return !memcmp(&a, &b, sizeof a); }

static NVENCSTATUS fail(struct session *session, NVENCSTATUS status, const char *text)
{
    snprintf(session->error, sizeof session->error, "%s", text);
    return status;
}

static void misbehave(int crash, int hang)
{
    if (crash)
        raise(SIGSEGV);
    while (hang)
        pause();
}

static NVENCSTATUS open_session(NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS *params, void **opened)
{
    struct session *session = calloc(1, sizeof *session);
    session->faults = read_faults();
    session->lock = -1;
    misbehave(session->faults.crash_open, session->faults.hang_open);
    if (session->faults.sessions && (session->lock = take_session(session->faults.sessions)) < 0) {
        int key = session->faults.client_key;
        free(session);
        return key ? NV_ENC_ERR_INCOMPATIBLE_CLIENT_KEY : NV_ENC_ERR_OUT_OF_MEMORY;
    }
    *opened = session;
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS count_codecs(void *session, uint32_t *count)
{
    *count = 2;
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS list_codecs(void *session, GUID *into, uint32_t room, uint32_t *count)
{
    const GUID known[] = {NV_ENC_CODEC_H264_GUID, NV_ENC_CODEC_HEVC_GUID};
    *count = room < 2 ? room : 2;
    memcpy(into, known, *count * sizeof *into);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS get_caps(void *opaque, GUID codec, NV_ENC_CAPS_PARAM *asked, int *value)
{
    const struct faults *faults = &((struct session *)opaque)->faults;
    int avc = same(codec, NV_ENC_CODEC_H264_GUID), most = avc ? faults->b_frames_h264 : faults->b_frames_hevc;
    switch ((int)asked->capsToQuery) {
    case NV_ENC_CAPS_NUM_MAX_BFRAMES: *value = most ? most - 1 : avc ? 4 : 5; break;
    case NV_ENC_CAPS_WIDTH_MAX:
    case NV_ENC_CAPS_HEIGHT_MAX: *value = faults->max_width ? faults->max_width : avc ? MAX_H264 : MAX_WIDTH; break;
    case NV_ENC_CAPS_SUPPORT_YUV444_ENCODE: *value = !faults->no_444; break;
    case NV_ENC_CAPS_SUPPORT_LOSSLESS_ENCODE: *value = !faults->no_lossless; break;
    case NV_ENC_CAPS_SUPPORT_10BIT_ENCODE: *value = !avc && !faults->no_10bit; break;
    case NV_ENC_CAPS_SUPPORT_MULTIPLE_REF_FRAMES: *value = !faults->no_refs; break;
    case NV_ENC_CAPS_SUPPORT_CABAC:
    case NV_ENC_CAPS_SUPPORT_CUSTOM_VBV_BUF_SIZE: *value = 1; break;
    default: *value = 0;
    }
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS preset(void *session, GUID codec, GUID name, NV_ENC_TUNING_INFO tuning, NV_ENC_PRESET_CONFIG *into)
{
    NV_ENC_CONFIG *config = &into->presetCfg;
    memset(config, 0, sizeof *config);
    config->version = NV_ENC_CONFIG_VER;
    config->gopLength = 250;
    config->frameIntervalP = 1;
    config->rcParams.version = NV_ENC_RC_PARAMS_VER;
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS initialize(void *opaque, NV_ENC_INITIALIZE_PARAMS *params)
{
    struct session *session = opaque;
    const struct faults *faults = &session->faults;
    struct settings *settings = &session->settings;
    if (faults->fail_init)
        return fail(session, NV_ENC_ERR_GENERIC, "the encoder engine does not start");
    if ((int)params->encodeWidth < (faults->min_width ? faults->min_width : MIN_WIDTH) || (int)params->encodeHeight < MIN_HEIGHT)
        return fail(session, NV_ENC_ERR_INVALID_PARAM, "Frame Dimension less than the minimum supported value.");
    settings->config = *params->encodeConfig;
    if ((int)settings->config.gopLength <= settings->config.frameIntervalP && settings->config.frameIntervalP > 1)
        return fail(session, NV_ENC_ERR_INVALID_PARAM, "GOP Length should be greater than number of B frames + 1");
    session->codec = same(params->encodeGUID, NV_ENC_CODEC_H264_GUID) ? &h264 : &hevc;
    settings->width = params->encodeWidth;
    settings->height = params->encodeHeight;
    settings->rate_num = params->frameRateNum;
    settings->rate_den = params->frameRateDen;
    settings->sar_num = params->darWidth * params->encodeHeight;
    settings->sar_den = params->darHeight * params->encodeWidth;
    for (int a = settings->sar_num, b = settings->sar_den, rest; a > 0;) {
        rest = b % a;
        if (!rest) {
            settings->sar_num /= a;
            settings->sar_den /= a;
        }
        b = a;
        a = rest;
    }
    settings->lossless = params->tuningInfo == NV_ENC_TUNING_INFO_LOSSLESS;
    const NV_ENC_CONFIG_H264 *avc = &settings->config.encodeCodecConfig.h264Config;
    const NV_ENC_CONFIG_HEVC *hvc = &settings->config.encodeCodecConfig.hevcConfig;
    settings->full_chroma = (session->codec == &h264 ? avc->chromaFormatIDC : hvc->chromaFormatIDC) == 3;
    settings->ten_bits = same(settings->config.profileGUID, NV_ENC_HEVC_PROFILE_MAIN10_GUID);
    session->encoder = session->codec->open(settings);
    return session->encoder ? NV_ENC_SUCCESS : fail(session, NV_ENC_ERR_INVALID_PARAM, "the encoder does not take these settings");
}

static NVENCSTATUS set_streams(void *session, NV_ENC_CUSTREAM_PTR in, NV_ENC_CUSTREAM_PTR out) { return NV_ENC_SUCCESS; }

static NVENCSTATUS create_input(void *session, NV_ENC_CREATE_INPUT_BUFFER *params)
{
    struct input *made = calloc(1, sizeof *made);
    int deep = params->bufferFmt == NV_ENC_BUFFER_FORMAT_YUV420_10BIT;
    made->format = params->bufferFmt;
    made->pitch = ((params->width << deep) + 63) & ~63;
    made->height = params->height;
    made->data = calloc(made->pitch, 3 * made->height);
    params->inputBuffer = made;
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS destroy_input(void *session, NV_ENC_INPUT_PTR opaque)
{
    free(((struct input *)opaque)->data);
    free(opaque);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS lock_input(void *session, NV_ENC_LOCK_INPUT_BUFFER *params)
{
    struct input *input = params->inputBuffer;
    params->bufferDataPtr = input->data;
    params->pitch = input->pitch;
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS unlock_input(void *session, NV_ENC_INPUT_PTR input) { return NV_ENC_SUCCESS; }

static NVENCSTATUS create_output(void *session, NV_ENC_CREATE_BITSTREAM_BUFFER *params)
{
    struct output *made = calloc(1, sizeof *made);
    made->packet.data = malloc(MOST_BYTES);
    params->bitstreamBuffer = made;
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS destroy_output(void *session, NV_ENC_OUTPUT_PTR opaque)
{
    free(((struct output *)opaque)->packet.data);
    free(opaque);
    return NV_ENC_SUCCESS;
}

/* Point `picture` at the planes of an input; 10 bits lie in the upper bits of a word there, with both chromas in one plane. */
static void lay_out(struct session *session, const struct input *input, struct picture *picture)
{
    int chroma = (input->height + 1) / 2, half = input->pitch / 2;
    uint8_t *after = input->data + input->pitch * input->height;
    picture->planes[0] = input->data;
    picture->strides[0] = input->pitch;
    if (input->format == NV_ENC_BUFFER_FORMAT_YUV444) {
        for (int i = 1; i < 3; i++) {
            picture->planes[i] = after + (i - 1) * input->pitch * input->height;
            picture->strides[i] = input->pitch;
        }
        return;
    }
    int swapped = input->format == NV_ENC_BUFFER_FORMAT_YV12;
    picture->planes[swapped ? 2 : 1] = after;
    picture->planes[swapped ? 1 : 2] = after + half * chroma;
    picture->strides[1] = picture->strides[2] = half;
    if (input->format != NV_ENC_BUFFER_FORMAT_YUV420_10BIT)
        return;
    int words = half, lines = input->height + chroma;
    const uint16_t *from = (const uint16_t *)input->data, *both = (const uint16_t *)after;
    if (!session->deep)
        session->deep = malloc(sizeof *session->deep * words * lines);
    for (int i = 0; i < words * input->height; i++)
        session->deep[i] = from[i] >> 6;
    uint16_t *blue = session->deep + words * input->height, *red = blue + words / 2 * chroma;
    for (int i = 0; i < words / 2 * chroma; i++) {
        blue[i] = both[2 * i] >> 6;
        red[i] = both[2 * i + 1] >> 6;
    }
    picture->planes[0] = (uint8_t *)session->deep;
    picture->planes[1] = (uint8_t *)blue;
    picture->planes[2] = (uint8_t *)red;
}

static void spoil(struct session *session, struct input *input, int number)
{
    const struct faults *faults = &session->faults;
    size_t size = 3 * (size_t)input->pitch * input->height;
    if (faults->green_at && number >= faults->green_at)
        memset(input->data, 0, size);
    if (!faults->repeat_at)
        return;
    if (!session->held)
        session->held = malloc(size);
    if (number >= faults->repeat_at)
        memcpy(input->data, session->held, size);
    else
        memcpy(session->held, input->data, size);
}

static void deliver(struct session *session, const struct packet *packet)
{
    const struct faults *faults = &session->faults;
    struct output *output = session->waiting[session->first++ % MOST_WAITING];
    uint8_t *room = output->packet.data;
    int number = ++session->packets;
    output->packet = *packet;
    output->packet.data = room;
    output->filled = 1;
    memcpy(room, packet->data, packet->size);
    if (faults->damaged_at && number >= faults->damaged_at)
        memset(room + 5, 0xff, packet->size - 5);
    if (faults->times_at && number >= faults->times_at)
        output->packet.pts += 7;
}

static NVENCSTATUS encode(void *opaque, NV_ENC_PIC_PARAMS *params)
{
    struct session *session = opaque;
    const struct faults *faults = &session->faults;
    struct packet packet;
    int got;
    if (params->encodePicFlags & NV_ENC_PIC_FLAG_EOS) {
        if (faults->fail_flush)
            return fail(session, NV_ENC_ERR_GENERIC, "the encoder engine does not finish");
        while (session->first < session->end && (got = session->codec->encode(session->encoder, NULL, &packet)) > 0)
            deliver(session, &packet);
        return NV_ENC_SUCCESS;
    }
    int number = ++session->pictures;
    misbehave(faults->crash_at == number, faults->hang_at == number);
    if (faults->fail_at && number >= faults->fail_at)
        return fail(session, NV_ENC_ERR_GENERIC, "the encoder engine does not answer");
    struct picture picture = {.pts = params->inputTimeStamp, .key = !!(params->encodePicFlags & NV_ENC_PIC_FLAG_FORCEIDR)};
    spoil(session, params->inputBuffer, number);
    lay_out(session, params->inputBuffer, &picture);
    session->waiting[session->end++ % MOST_WAITING] = params->outputBitstream;
    ((struct output *)params->outputBitstream)->filled = 0;
    got = session->codec->encode(session->encoder, &picture, &packet);
    if (got < 0)
        return fail(session, NV_ENC_ERR_GENERIC, "the software behind this driver failed");
    if (got)
        deliver(session, &packet);
    return session->first ? NV_ENC_SUCCESS : NV_ENC_ERR_NEED_MORE_INPUT;
}

static NVENCSTATUS lock_output(void *session, NV_ENC_LOCK_BITSTREAM *params)
{
    struct output *output = params->outputBitstream;
    if (!output->filled)
        return fail(session, NV_ENC_ERR_LOCK_BUSY, "no packet yet");
    params->bitstreamBufferPtr = output->packet.data;
    params->bitstreamSizeInBytes = output->packet.size;
    params->outputTimeStamp = output->packet.pts;
    params->pictureType = output->packet.type;
    params->pictureStruct = NV_ENC_PIC_STRUCT_FRAME;
    params->frameAvgQP = 20;
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS unlock_output(void *session, NV_ENC_OUTPUT_PTR output) { return NV_ENC_SUCCESS; }

static NVENCSTATUS headers(void *opaque, NV_ENC_SEQUENCE_PARAM_PAYLOAD *params)
{
    struct session *session = opaque;
    int size = session->codec->headers(session->encoder, params->spsppsBuffer, params->inBufferSize);
    *params->outSPSPPSPayloadSize = size > 0 ? size : 0;
    return size > 0 ? NV_ENC_SUCCESS : fail(session, NV_ENC_ERR_GENERIC, "no headers");
}

static NVENCSTATUS destroy(void *opaque)
{
    struct session *session = opaque;
    if (session->encoder)
        session->codec->close(session->encoder);
    if (session->lock >= 0)
        close(session->lock);
    free(session->held);
    free(session->deep);
    free(session);
    return NV_ENC_SUCCESS;
}

static const char *last_error(void *session) { return ((struct session *)session)->error; }

NVENCSTATUS NvEncodeAPIGetMaxSupportedVersion(uint32_t *version)
{
    *version = read_faults().old_driver ? OLD_VERSION : VERSION;
    return NV_ENC_SUCCESS;
}

NVENCSTATUS NvEncodeAPICreateInstance(NV_ENCODE_API_FUNCTION_LIST *list)
{
    list->nvEncOpenEncodeSessionEx = open_session;
    list->nvEncGetEncodeGUIDCount = count_codecs;
    list->nvEncGetEncodeGUIDs = list_codecs;
    list->nvEncGetEncodeCaps = get_caps;
    list->nvEncGetEncodePresetConfigEx = preset;
    list->nvEncInitializeEncoder = initialize;
    list->nvEncSetIOCudaStreams = set_streams;
    list->nvEncCreateInputBuffer = create_input;
    list->nvEncDestroyInputBuffer = destroy_input;
    list->nvEncLockInputBuffer = lock_input;
    list->nvEncUnlockInputBuffer = unlock_input;
    list->nvEncCreateBitstreamBuffer = create_output;
    list->nvEncDestroyBitstreamBuffer = destroy_output;
    list->nvEncEncodePicture = encode;
    list->nvEncLockBitstream = lock_output;
    list->nvEncUnlockBitstream = unlock_output;
    list->nvEncGetSequenceParams = headers;
    list->nvEncDestroyEncoder = destroy;
    list->nvEncGetLastErrorString = last_error;
    return NV_ENC_SUCCESS;
}
