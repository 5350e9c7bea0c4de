/* test_drv_video.so: a driver of VA-API that encodes H.264 with FFmpeg's headers and plain samples: what goes in is what comes out.
   H.265 is made by x265, of keyframes only.

   What it was told is written to the file "told" beside it, a line for each context and each setting of rate control. */
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <va/va.h>
#include <va/va_backend.h>
#include <va/va_drmcommon.h>
#include <va/va_enc_h264.h>
#include <va/va_enc_hevc.h>

#include "cabac.h"
#include "faults.h"
#include "va_hevc.h"

enum { MOST = 4096, MAX_SIDE = 4096, MIN_SIDE = 32, FORMATS = 2 };
enum kind { NOTHING, CONFIG, SURFACE, CONTEXT, BUFFER };

struct thing {
    enum kind kind;
    int number; /* of a buffer: its type; of a config: its entry point */
    int profile, ten_bits;
    int width, height, stride, lines;
    size_t size;
    uint8_t *data;
    VACodedBufferSegment coded;
    int borrowed; /* the data is a surface's */
    struct session *session;
};

struct session { /* of a context: several may encode at once */
    struct faults faults;
    VASurfaceID target;
    struct bits output;
    VAEncPictureParameterBufferH264 picture;
    VAEncSliceParameterBufferH264 slice;
    VAEncPictureParameterBufferHEVC hevc_picture;
    VAEncSliceParameterBufferHEVC hevc_slice;
    int hevc, kept, pictures, header_bits, coded_width, coded_height;
    void *encoder;
    uint8_t *held;
};

static struct thing things[MOST];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct faults faults; /* as they were when the driver was opened last */

static const VAProfile PROFILES[] = {VAProfileH264ConstrainedBaseline, VAProfileH264Main, VAProfileH264High, VAProfileHEVCMain,
                                     VAProfileHEVCMain10};

static void tell(const char *format, ...)
{
    char path[4096];
    path_beside(path, "told");
    FILE *file = fopen(path, "a");
    va_list values;
    va_start(values, format);
    if (file) {
        vfprintf(file, format, values);
        fclose(file);
    }
    va_end(values);
}

static struct thing *new_thing(enum kind kind, VAGenericID *id)
{
    pthread_mutex_lock(&lock);
    for (int i = 1; i < MOST; i++)
        if (things[i].kind == NOTHING) {
            memset(&things[i], 0, sizeof things[i]);
            things[i].kind = kind;
            *id = i;
            pthread_mutex_unlock(&lock);
            return &things[i];
        }
    abort();
}

static VAStatus drop(VAGenericID id)
{
    if (!things[id].borrowed)
        free(things[id].data);
    things[id].kind = NOTHING;
    return VA_STATUS_SUCCESS;
}

static VAStatus end(VADriverContextP context) { return VA_STATUS_SUCCESS; }

static VAStatus profiles(VADriverContextP context, VAProfile *list, int *count)
{
    *count = sizeof PROFILES / sizeof *PROFILES;
    memcpy(list, PROFILES, sizeof PROFILES);
    return VA_STATUS_SUCCESS;
}

static VAStatus entrypoints(VADriverContextP context, VAProfile profile, VAEntrypoint *list, int *count)
{
    *count = 1;
    list[0] = faults.low_power_only ? VAEntrypointEncSliceLP : VAEntrypointEncSlice;
    return VA_STATUS_SUCCESS;
}

static int is_hevc(VAProfile profile) { return profile == VAProfileHEVCMain || profile == VAProfileHEVCMain10; }

/* How many pictures one refers to that are shown before it, and above 16 bits that are shown after it. */
static int references(VAProfile profile)
{
    int before = is_hevc(profile) ? 1 : 2, b_frames = is_hevc(profile) ? faults.b_frames_hevc : faults.b_frames_h264;
    return b_frames == 1 ? before : 1 << 16 | before;
}

static VAStatus attributes(VADriverContextP context, VAProfile profile, VAEntrypoint entrypoint, VAConfigAttrib *list, int count)
{
    for (int i = 0; i < count; i++)
        switch ((int)list[i].type) {
        case VAConfigAttribRTFormat: list[i].value = profile == VAProfileHEVCMain10 ? VA_RT_FORMAT_YUV420_10 : VA_RT_FORMAT_YUV420; break;
        case VAConfigAttribRateControl:
            list[i].value = faults.only_cqp ? VA_RC_CQP : VA_RC_CQP | VA_RC_CBR | VA_RC_VBR | (faults.no_qvbr ? 0 : VA_RC_QVBR);
            break;
        case VAConfigAttribEncPackedHeaders:
            list[i].value = VA_ENC_PACKED_HEADER_SEQUENCE | VA_ENC_PACKED_HEADER_SLICE | VA_ENC_PACKED_HEADER_MISC | VA_ENC_PACKED_HEADER_RAW_DATA;
            break;
        case VAConfigAttribEncMaxRefFrames: list[i].value = references(profile); break;
        case VAConfigAttribEncMaxSlices: list[i].value = 1; break;
        case VAConfigAttribMaxPictureWidth:
        case VAConfigAttribMaxPictureHeight: list[i].value = faults.max_width ? faults.max_width : MAX_SIDE; break;
        default: list[i].value = VA_ATTRIB_NOT_SUPPORTED;
        }
    return VA_STATUS_SUCCESS;
}

static VAStatus new_config(
    VADriverContextP context, VAProfile profile, VAEntrypoint entrypoint, VAConfigAttrib *list, int count, VAConfigID *id)
{
    struct thing *made = new_thing(CONFIG, id);
    made->number = entrypoint;
    made->profile = profile;
    tell("config profile=%d low_power=%d", profile, entrypoint == VAEntrypointEncSliceLP);
    for (int i = 0; i < count; i++)
        if (list[i].type == VAConfigAttribRateControl)
            tell(" rate=%#x", list[i].value);
    tell("\n");
    return VA_STATUS_SUCCESS;
}

static VAStatus drop_config(VADriverContextP context, VAConfigID id) { return drop(id); }

static VAStatus config_attributes(
    VADriverContextP context, VAConfigID id, VAProfile *profile, VAEntrypoint *entrypoint, VAConfigAttrib *list, int *count)
{
    *profile = things[id].profile;
    *entrypoint = things[id].number;
    *count = 0;
    return VA_STATUS_SUCCESS;
}

static VAStatus surface_attributes(VADriverContextP context, VAConfigID config, VASurfaceAttrib *list, unsigned *count)
{
    int most = faults.max_width ? faults.max_width : MAX_SIDE, least = faults.min_width ? faults.min_width : MIN_SIDE;
    const int known[][2] = {
        {VASurfaceAttribPixelFormat, things[config].profile == VAProfileHEVCMain10 ? VA_FOURCC_P010 : VA_FOURCC_NV12}, {VASurfaceAttribMinWidth, least},  {VASurfaceAttribMinHeight, MIN_SIDE},
        {VASurfaceAttribMaxWidth, most},              {VASurfaceAttribMaxHeight, most},
    };
    unsigned size = sizeof known / sizeof *known;
    for (unsigned i = 0; list && i < size; i++)
        list[i] = (VASurfaceAttrib){
            known[i][0], VA_SURFACE_ATTRIB_GETTABLE, {VAGenericValueTypeInteger, {.i = known[i][1]}}};
    *count = size;
    return VA_STATUS_SUCCESS;
}

static VAStatus new_surfaces(VADriverContextP context, unsigned format, unsigned width, unsigned height, VASurfaceID *ids, unsigned count,
                             VASurfaceAttrib *list, unsigned attribs)
{
    int ten_bits = format == VA_RT_FORMAT_YUV420_10;
    if (format != VA_RT_FORMAT_YUV420 && !ten_bits)
        return VA_STATUS_ERROR_UNSUPPORTED_RT_FORMAT;
    for (unsigned i = 0; i < count; i++) {
        struct thing *made = new_thing(SURFACE, &ids[i]);
        made->width = width;
        made->height = height;
        made->ten_bits = ten_bits;
        made->stride = ((width + 63) & ~63) << ten_bits;
        made->lines = (height + 15) & ~15;
        made->size = (size_t)made->stride * made->lines * 3 / 2;
        made->data = calloc(1, made->size);
    }
    return VA_STATUS_SUCCESS;
}

static VAStatus new_old_surfaces(VADriverContextP context, int width, int height, int format, int count, VASurfaceID *ids)
{
    return new_surfaces(context, format, width, height, ids, count, NULL, 0);
}

static VAStatus drop_all(VADriverContextP context, VASurfaceID *ids, int count)
{
    while (count--)
        drop(ids[count]);
    return VA_STATUS_SUCCESS;
}

static void misbehave(int crash, int hang)
{
    if (crash)
        raise(SIGSEGV);
    while (hang)
        pause();
}

static VAStatus new_context(
    VADriverContextP context, VAConfigID config, int width, int height, int flag, VASurfaceID *targets, int count, VAContextID *id)
{
    struct session *own = calloc(1, sizeof *own);
    own->faults = read_faults();
    misbehave(own->faults.crash_open, own->faults.hang_open);
    if (own->faults.fail_init) {
        free(own);
        return VA_STATUS_ERROR_HW_BUSY;
    }
    own->hevc = is_hevc(things[config].profile);
    new_thing(CONTEXT, id)->session = own;
    tell("context %dx%d\n", width, height);
    return VA_STATUS_SUCCESS;
}

static VAStatus drop_context(VADriverContextP context, VAContextID id)
{
    close_va_hevc(things[id].session->encoder);
    free(things[id].session->output.data);
    free(things[id].session->held);
    free(things[id].session);
    return drop(id);
}

static VAStatus new_buffer(
    VADriverContextP context, VAContextID owner, VABufferType type, unsigned size, unsigned count, void *data, VABufferID *id)
{
    struct thing *made = new_thing(BUFFER, id);
    made->number = type;
    made->size = (size_t)size * count;
    made->data = calloc(1, made->size + 1);
    if (data)
        memcpy(made->data, data, made->size);
    return VA_STATUS_SUCCESS;
}

static VAStatus resize(VADriverContextP context, VABufferID id, unsigned count) { return VA_STATUS_SUCCESS; }

static VAStatus map(VADriverContextP context, VABufferID id, void **data)
{
    *data = things[id].number == VAEncCodedBufferType ? (void *)&things[id].coded : things[id].data;
    return VA_STATUS_SUCCESS;
}

static VAStatus unmap(VADriverContextP context, VABufferID id) { return VA_STATUS_SUCCESS; }

static VAStatus drop_buffer(VADriverContextP context, VABufferID id) { return drop(id); }

static VAStatus begin_picture(VADriverContextP context, VAContextID id, VASurfaceID surface)
{
    things[id].session->target = surface;
    things[id].session->output.size = 0;
    return VA_STATUS_SUCCESS;
}

static void take_setting(const VAEncMiscParameterBuffer *given)
{
    if (given->type == VAEncMiscParameterTypeRateControl) {
        const VAEncMiscParameterRateControl *rate = (const void *)given->data;
        tell("rate bits_per_second=%u target_percentage=%u quality_factor=%u\n", rate->bits_per_second, rate->target_percentage,
             rate->quality_factor);
    } else if (given->type == VAEncMiscParameterTypeHRD)
        tell("buffer size=%u\n", ((const VAEncMiscParameterHRD *)given->data)->buffer_size);
}

static void take_header(struct session *own, const uint8_t *data)
{
    for (int i = 0; i < own->header_bits; i++)
        put_bit(&own->output, data[i / 8] >> (7 - i % 8) & 1);
}

/* Of headers, that of the slice is left out: it is one of intra blocks. */
static VAStatus render_hevc(struct session *own, VABufferID *ids, int count)
{
    for (int i = 0; i < count; i++) {
        const struct thing *given = &things[ids[i]];
        const VAEncPackedHeaderParameterBuffer *header = (const void *)given->data;
        switch (given->number) {
        case VAEncPictureParameterBufferType: own->hevc_picture = *(const VAEncPictureParameterBufferHEVC *)given->data; break;
        case VAEncSliceParameterBufferType: own->hevc_slice = *(const VAEncSliceParameterBufferHEVC *)given->data; break;
        case VAEncMiscParameterBufferType: take_setting((const void *)given->data); break;
        case VAEncPackedHeaderParameterBufferType:
            own->kept = header->type != VAEncPackedHeaderSlice;
            own->header_bits = header->bit_length;
            break;
        case VAEncPackedHeaderDataBufferType:
            if (own->kept)
                take_header(own, given->data);
            break;
        case VAEncSequenceParameterBufferType: {
            const VAEncSequenceParameterBufferHEVC *sequence = (const void *)given->data;
            own->coded_width = sequence->pic_width_in_luma_samples;
            own->coded_height = sequence->pic_height_in_luma_samples;
            tell("sequence intra_period=%u ip_period=%u\n", sequence->intra_period, sequence->ip_period);
        }
        }
    }
    return VA_STATUS_SUCCESS;
}

static VAStatus render(VADriverContextP context, VAContextID id, VABufferID *ids, int count)
{
    struct session *own = things[id].session;
    if (own->hevc)
        return render_hevc(own, ids, count);
    for (int i = 0; i < count; i++) {
        const struct thing *given = &things[ids[i]];
        switch (given->number) {
        case VAEncPictureParameterBufferType: own->picture = *(const VAEncPictureParameterBufferH264 *)given->data; break;
        case VAEncSliceParameterBufferType: own->slice = *(const VAEncSliceParameterBufferH264 *)given->data; break;
        case VAEncMiscParameterBufferType: take_setting((const void *)given->data); break;
        case VAEncPackedHeaderParameterBufferType:
            own->header_bits = ((const VAEncPackedHeaderParameterBuffer *)given->data)->bit_length;
            break;
        case VAEncPackedHeaderDataBufferType: take_header(own, given->data); break;
        case VAEncSequenceParameterBufferType: {
            const VAEncSequenceParameterBufferH264 *sequence = (const void *)given->data;
            tell("sequence intra_period=%u ip_period=%u refs=%u\n", sequence->intra_period, sequence->ip_period, sequence->max_num_ref_frames);
        }
        }
    }
    return VA_STATUS_SUCCESS;
}

/* Where the last header, that of the slice, begins: its bytes are written without those that keep start codes apart. */
static size_t last_start(const struct bits *written)
{
    size_t found = 0;
    for (size_t i = 0; i + 3 < written->size / 8; i++)
        if (!written->data[i] && !written->data[i + 1] && written->data[i + 2] == 1)
            found = i + 3;
    return found;
}

/* FFmpeg's parameter sets and messages first, then the slice. */
static VAStatus end_hevc(struct session *own, struct thing *surface, int number)
{
    const VAEncPictureParameterBufferHEVC *given = &own->hevc_picture;
    struct thing *coded = &things[given->coded_buf];
    struct va_picture picture = {
        .width = surface->width,
        .height = surface->height,
        .coded_width = own->coded_width,
        .coded_height = own->coded_height,
        .stride = surface->stride,
        .ten_bits = surface->ten_bits,
        .luma = surface->data,
        .chroma = surface->data + (size_t)surface->stride * surface->lines,
        .qp = given->pic_init_qp + own->hevc_slice.slice_qp_delta,
        .init_qp = given->pic_init_qp,
        .kind = given->nal_unit_type,
        .order = given->decoded_curr_pic.pic_order_cnt,
    };
    size_t start = own->output.size / 8;
    tell("picture type=%d qp=%d\n", own->hevc_slice.slice_type, picture.qp);
    if (!put_va_hevc(&own->encoder, &picture, &own->output))
        return VA_STATUS_ERROR_ENCODING_ERROR;
    size_t size = own->output.size / 8;
    free(coded->data);
    coded->data = malloc(size);
    memcpy(coded->data, own->output.data, size);
    if (own->faults.damaged_at && number >= own->faults.damaged_at)
        memset(coded->data + start + 8, 0xff, size - start - 8);
    coded->coded = (VACodedBufferSegment){.size = size, .buf = coded->data};
    return VA_STATUS_SUCCESS;
}

static VAStatus end_picture(VADriverContextP context, VAContextID id)
{
    struct session *own = things[id].session;
    struct thing *surface = &things[own->target], *coded = &things[own->picture.coded_buf];
    int number = ++own->pictures, qp = own->picture.pic_init_qp + own->slice.slice_qp_delta;
    misbehave(own->faults.crash_at == number, own->faults.hang_at == number);
    if (own->faults.fail_at && number >= own->faults.fail_at)
        return VA_STATUS_ERROR_ENCODING_ERROR;
    if (own->faults.green_at && number >= own->faults.green_at)
        memset(surface->data, 0, surface->size);
    if (own->faults.repeat_at && number < own->faults.repeat_at)
        memcpy(own->held = realloc(own->held, surface->size), surface->data, surface->size);
    if (own->faults.repeat_at && number >= own->faults.repeat_at && own->held)
        memcpy(surface->data, own->held, surface->size);
    if (own->hevc)
        return end_hevc(own, surface, number);
    tell("picture type=%d qp=%d\n", own->slice.slice_type, qp);
    size_t start = last_start(&own->output);
    struct bits plain = {0}, written = {0};
    unescape(&plain, own->output.data + start, own->output.size / 8 - start);
    for (size_t i = own->output.size / 8 * 8; i < own->output.size; i++)
        put_bit(&plain, own->output.data[i / 8] >> (7 - i % 8) & 1);
    put_samples(&plain, own->slice.slice_type % 5 == 2 ? SLICE_I : own->slice.slice_type % 5 ? SLICE_B : SLICE_P,
                qp, own->picture.pic_fields.bits.entropy_coding_mode_flag, surface->data,
                surface->data + (size_t)surface->stride * surface->lines, surface->stride, (surface->width + 15) / 16,
                (surface->height + 15) / 16);
    escape(&written, plain.data, plain.size / 8);
    size_t size = start + written.size / 8;
    uint8_t *data = malloc(size);
    memcpy(data, own->output.data, start);
    memcpy(data + start, written.data, size - start);
    free(plain.data);
    free(written.data);
    if (own->faults.damaged_at && number >= own->faults.damaged_at)
        memset(data + start + 1, 0xff, size - start - 1);
    free(coded->data);
    coded->data = data;
    coded->coded = (VACodedBufferSegment){.size = size, .buf = data};
    return VA_STATUS_SUCCESS;
}

static VAStatus sync_surface(VADriverContextP context, VASurfaceID id) { return VA_STATUS_SUCCESS; }

static VAStatus surface_status(VADriverContextP context, VASurfaceID id, VASurfaceStatus *status)
{
    *status = VASurfaceReady;
    return VA_STATUS_SUCCESS;
}

static const VAImageFormat P010 = {.fourcc = VA_FOURCC_P010, .byte_order = VA_LSB_FIRST, .bits_per_pixel = 24};
static const VAImageFormat NV12 = {.fourcc = VA_FOURCC_NV12, .byte_order = VA_LSB_FIRST, .bits_per_pixel = 12};

static VAStatus image_formats(VADriverContextP context, VAImageFormat *list, int *count)
{
    list[0] = NV12;
    list[1] = P010;
    *count = FORMATS;
    return VA_STATUS_SUCCESS;
}

static VAStatus derive(VADriverContextP context, VASurfaceID id, VAImage *image)
{
    struct thing *surface = &things[id], *buffer = new_thing(BUFFER, &image->buf);
    buffer->data = surface->data;
    buffer->borrowed = 1;
    buffer->number = VAImageBufferType;
    image->image_id = image->buf;
    image->format = surface->ten_bits ? P010 : NV12;
    image->width = surface->width;
    image->height = surface->height;
    image->data_size = surface->size;
    image->num_planes = 2;
    image->pitches[0] = image->pitches[1] = surface->stride;
    image->offsets[0] = 0;
    image->offsets[1] = surface->stride * surface->lines;
    return VA_STATUS_SUCCESS;
}

static VAStatus drop_image(VADriverContextP context, VAImageID id) { return drop(id); }

/* Whether the device is the render node of this number. */
static int is_node(VADriverContextP context, int number)
{
    char link[64], path[4096] = "", name[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", ((const struct drm_state *)context->drm_state)->fd);
    snprintf(name, sizeof name, "/renderD%d", number);
    return number && readlink(link, path, sizeof path - 1) > 0 && strstr(path, name);
}

static VAStatus not_built(void) { return VA_STATUS_ERROR_UNIMPLEMENTED; }

VAStatus __vaDriverInit_1_0(VADriverContextP context)
{
    struct VADriverVTable *table = context->vtable;
    void **all = (void **)table;
    faults = read_faults();
    misbehave(faults.crash_open, faults.hang_open);
    if (faults.no_device || is_node(context, faults.bad_node))
        return VA_STATUS_ERROR_OPERATION_FAILED;
    for (void **entry = all; entry < (void **)&table->vaGetSurfaceAttributes; entry++)
        *entry = (void *)not_built; /* libva wants them all */
    table->vaTerminate = end;
    table->vaQueryConfigProfiles = profiles;
    table->vaQueryConfigEntrypoints = entrypoints;
    table->vaGetConfigAttributes = attributes;
    table->vaCreateConfig = new_config;
    table->vaDestroyConfig = drop_config;
    table->vaQueryConfigAttributes = config_attributes;
    table->vaCreateSurfaces = new_old_surfaces;
    table->vaCreateSurfaces2 = new_surfaces;
    table->vaDestroySurfaces = drop_all;
    table->vaQuerySurfaceAttributes = surface_attributes;
    table->vaCreateContext = new_context;
    table->vaDestroyContext = drop_context;
    table->vaCreateBuffer = new_buffer;
    table->vaBufferSetNumElements = resize;
    table->vaMapBuffer = map;
    table->vaUnmapBuffer = unmap;
    table->vaDestroyBuffer = drop_buffer;
    table->vaBeginPicture = begin_picture;
    table->vaRenderPicture = render;
    table->vaEndPicture = end_picture;
    table->vaSyncSurface = sync_surface;
    table->vaQuerySurfaceStatus = surface_status;
    table->vaQueryImageFormats = image_formats;
    table->vaDeriveImage = derive;
    table->vaDestroyImage = drop_image;
    context->version_major = 1;
    context->version_minor = 0;
    context->max_profiles = sizeof PROFILES / sizeof *PROFILES;
    context->max_entrypoints = 2;
    context->max_attributes = 16;
    context->max_image_formats = FORMATS;
    context->max_subpic_formats = 1;
    context->max_display_attributes = 1;
    context->str_vendor = "Driver for tests";
    return VA_STATUS_SUCCESS;
}
