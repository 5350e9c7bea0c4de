/* libcuda.so.1 as far as FFmpeg needs it to encode frames that lie in memory: one device, which does nothing. */
#include <stddef.h>
#include <sys/mman.h>

#include "faults.h"

typedef int CUresult;
enum { SUCCESS = 0, OUT_OF_MEMORY = 2, NO_DEVICE = 100, NOT_SUPPORTED = 801 };

CUresult cuInit(unsigned flags)
{
    struct faults faults = read_faults();
    return faults.no_device ? NO_DEVICE : SUCCESS;
}

CUresult cuDeviceGetCount(int *count)
{
    *count = 1;
    return SUCCESS;
}

CUresult cuDeviceGet(int *device, int ordinal)
{
    *device = ordinal;
    return SUCCESS;
}

CUresult cuDeviceGetName(char *name, int length, int device)
{
    static const char known[] = "Driver for tests";
    for (int i = 0; i < length; i++)
        name[i] = i < (int)sizeof known ? known[i] : 0;
    return SUCCESS;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, int device)
{
    *major = 8;
    *minor = 9;
    return SUCCESS;
}

CUresult cuCtxCreate_v2(void **context, unsigned flags, int device)
{
    static char the_context;
    size_t bytes = (size_t)read_faults().reserve_gib << 30;
    if (bytes && mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
        return OUT_OF_MEMORY;
    *context = &the_context;
    return SUCCESS;
}

CUresult cuCtxPushCurrent_v2(void *context) { return SUCCESS; }
CUresult cuCtxPopCurrent_v2(void **context) { return SUCCESS; }
CUresult cuCtxDestroy_v2(void *context) { return SUCCESS; }

CUresult cuGetErrorName(CUresult error, const char **name)
{
    *name = error == NO_DEVICE ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR_NOT_SUPPORTED";
    return SUCCESS;
}

CUresult cuGetErrorString(CUresult error, const char **text)
{
    *text = error == NO_DEVICE ? "no CUDA-capable device is detected" : "operation not supported";
    return SUCCESS;
}

/* What FFmpeg's loader asks for, and encoding frames from memory never calls. */
#define UNUSED(name) CUresult name(void) { return NOT_SUPPORTED; }
UNUSED(cuDeviceGetAttribute) UNUSED(cuCtxSetLimit) UNUSED(cuCtxGetCurrent) UNUSED(cuCtxGetDevice) UNUSED(cuDriverGetVersion)
UNUSED(cuMemAlloc_v2) UNUSED(cuMemAllocPitch_v2) UNUSED(cuMemAllocManaged) UNUSED(cuMemsetD8Async) UNUSED(cuMemFree_v2)
UNUSED(cuMemcpy) UNUSED(cuMemcpyAsync) UNUSED(cuMemcpy2D_v2) UNUSED(cuMemcpy2DAsync_v2) UNUSED(cuMemcpyHtoD_v2)
UNUSED(cuMemcpyHtoDAsync_v2) UNUSED(cuMemcpyDtoH_v2) UNUSED(cuMemcpyDtoHAsync_v2) UNUSED(cuMemcpyDtoD_v2)
UNUSED(cuMemcpyDtoDAsync_v2) UNUSED(cuDevicePrimaryCtxRetain) UNUSED(cuDevicePrimaryCtxRelease)
UNUSED(cuDevicePrimaryCtxSetFlags) UNUSED(cuDevicePrimaryCtxGetState) UNUSED(cuDevicePrimaryCtxReset) UNUSED(cuStreamCreate)
UNUSED(cuStreamQuery) UNUSED(cuStreamSynchronize) UNUSED(cuStreamDestroy_v2) UNUSED(cuStreamAddCallback)
UNUSED(cuStreamWaitEvent) UNUSED(cuEventCreate) UNUSED(cuEventDestroy_v2) UNUSED(cuEventSynchronize) UNUSED(cuEventQuery)
UNUSED(cuEventRecord) UNUSED(cuLaunchKernel) UNUSED(cuLinkCreate) UNUSED(cuLinkAddData) UNUSED(cuLinkComplete)
UNUSED(cuLinkDestroy) UNUSED(cuModuleLoadData) UNUSED(cuModuleUnload) UNUSED(cuModuleGetFunction) UNUSED(cuModuleGetGlobal)
UNUSED(cuTexObjectCreate) UNUSED(cuTexObjectDestroy) UNUSED(cuGLGetDevices_v2) UNUSED(cuGraphicsGLRegisterImage)
UNUSED(cuGraphicsUnregisterResource) UNUSED(cuGraphicsMapResources) UNUSED(cuGraphicsUnmapResources)
UNUSED(cuGraphicsSubResourceGetMappedArray) UNUSED(cuGraphicsResourceGetMappedPointer_v2) UNUSED(cuArray3DCreate_v2)
UNUSED(cuArrayCreate_v2) UNUSED(cuArrayDestroy)
