/*
 * A CUDA runtime that computes nothing: enough of libcudart, libcublas, libcublasLt, libcurand and libcuda for ONNX
 * Runtime's CUDA provider to take this machine for one with an H100. Sessions are made, graphs are placed, memory is
 * planned and every kernel is launched as on a card; only the results are never computed. What it shows: which operators
 * have a CUDA kernel, which copies are made, which attention kernel runs, how large every matrix product is, and
 * how much device memory a run takes.
 *
 * SCORER_CUDA_LOG names a file for what was called, one line each: `launch KERNEL`, `gemm M N K TYPE COMPUTE`, `copy DIRECTION BYTES`,
 * and `memory USED PEAK` where the peak rises. Built by rehearsal.mjs.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef struct { unsigned x, y, z; } Dim3;

static const size_t DEVICE_BYTES = (size_t)79 << 30;
/* Larger copies are only noted: weights and hidden states would fill this machine's memory for nothing. */
static const size_t LARGEST_COPY = 4 << 20;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *file;

static void note(const char *format, ...) {
  const char *path = getenv("SCORER_CUDA_LOG");
  if (!path) return;
  va_list arguments;
  va_start(arguments, format);
  pthread_mutex_lock(&lock);
  if (!file) file = fopen(path, "a");
  if (file) {
    vfprintf(file, format, arguments);
    fflush(file);
  }
  pthread_mutex_unlock(&lock);
  va_end(arguments);
}

static int handle_of(void **place) { *place = calloc(1, 4096); return 0; }

/* Device memory: address space that is backed only where it is written. */
static struct { void *address; size_t bytes; } blocks[1 << 16];
static int block_count;
static size_t used, peak;

int cudaMalloc(void **address, size_t bytes) {
  pthread_mutex_lock(&lock);
  size_t after = used + bytes;
  int fits = after <= DEVICE_BYTES && block_count < (int)(sizeof blocks / sizeof *blocks);
  if (fits) {
    *address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    blocks[block_count].address = *address;
    blocks[block_count++].bytes = bytes;
    used = after;
  }
  int rises = fits && used > peak;
  if (rises) peak = used;
  pthread_mutex_unlock(&lock);
  if (rises) note("memory %zu %zu\n", used, peak);
  return fits ? 0 : 2; /* cudaErrorMemoryAllocation */
}

int cudaFree(void *address) {
  pthread_mutex_lock(&lock);
  for (int i = 0; i < block_count; i++) {
    if (blocks[i].address != address) continue;
    munmap(address, blocks[i].bytes);
    used -= blocks[i].bytes;
    blocks[i] = blocks[--block_count];
    break;
  }
  pthread_mutex_unlock(&lock);
  return 0;
}

int cudaMallocHost(void **address, size_t bytes) { *address = malloc(bytes); return 0; }
int cudaHostAlloc(void **address, size_t bytes, unsigned flags) { (void)flags; return cudaMallocHost(address, bytes); }
int cudaFreeHost(void *address) { free(address); return 0; }
int cudaMallocFromPoolAsync(void **address, size_t bytes, void *pool, void *stream) {
  (void)pool, (void)stream;
  return cudaMalloc(address, bytes);
}
int cudaFreeAsync(void *address, void *stream) { (void)stream; return cudaFree(address); }
int cudaMemGetInfo(size_t *unused, size_t *total) { *unused = DEVICE_BYTES - used; *total = DEVICE_BYTES; return 0; }

int cudaMemcpyAsync(void *to, const void *from, size_t bytes, int kind, void *stream) {
  static const char *const KINDS[] = {"host-host", "host-device", "device-host", "device-device", "default"};
  (void)stream;
  note("copy %s %zu\n", KINDS[kind], bytes);
  if (bytes <= LARGEST_COPY) memcpy(to, from, bytes);
  return 0;
}
int cudaMemcpy(void *to, const void *from, size_t bytes, int kind) { return cudaMemcpyAsync(to, from, bytes, kind, NULL); }
int cudaMemsetAsync(void *to, int value, size_t bytes, void *stream) {
  (void)stream;
  if (bytes <= LARGEST_COPY) memset(to, value, bytes);
  return 0;
}
int cudaMemset(void *to, int value, size_t bytes) { return cudaMemsetAsync(to, value, bytes, NULL); }

/* The device: offsets of struct cudaDeviceProp in CUDA 13. */
static void put(char *properties, size_t offset, int value) { memcpy(properties + offset, &value, sizeof value); }
static void put_size(char *properties, size_t offset, size_t value) { memcpy(properties + offset, &value, sizeof value); }

int cudaGetDeviceProperties(char *properties, int device) {
  (void)device;
  memset(properties, 0, 1008);
  strcpy(properties, "rehearsal of an H100");
  put_size(properties, 288, DEVICE_BYTES);  /* totalGlobalMem */
  put_size(properties, 296, 48 << 10);      /* sharedMemPerBlock */
  put(properties, 304, 65536);              /* regsPerBlock */
  put(properties, 308, 32);                 /* warpSize */
  put(properties, 320, 1024);               /* maxThreadsPerBlock */
  put(properties, 324, 1024), put(properties, 328, 1024), put(properties, 332, 64);          /* maxThreadsDim */
  put(properties, 336, 0x7fffffff), put(properties, 340, 65535), put(properties, 344, 65535); /* maxGridSize */
  put_size(properties, 352, 64 << 10);      /* totalConstMem */
  put(properties, 360, 9), put(properties, 364, 0); /* major, minor */
  put_size(properties, 368, 512);           /* textureAlignment */
  put(properties, 384, 132);                /* multiProcessorCount */
  put(properties, 596, 50 << 20);           /* l2CacheSize */
  put(properties, 604, 2048);               /* maxThreadsPerMultiProcessor */
  put_size(properties, 624, 228 << 10);     /* sharedMemPerMultiprocessor */
  put(properties, 632, 65536);              /* regsPerMultiprocessor */
  put(properties, 668, 1);                  /* cooperativeLaunch */
  put_size(properties, 672, 227 << 10);     /* sharedMemPerBlockOptin */
  put(properties, 688, 32);                 /* maxBlocksPerMultiProcessor */
  return 0;
}

int cudaDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  switch (attribute) {
    case 16: *value = 132; break;       /* cudaDevAttrMultiProcessorCount */
    case 75: *value = 9; break;         /* cudaDevAttrComputeCapabilityMajor */
    case 97: *value = 227 << 10; break; /* cudaDevAttrMaxSharedMemoryPerBlockOptin */
    default: *value = 0;
  }
  return 0;
}

int cudaGetDeviceCount(int *count) { *count = 1; return 0; }
int cudaGetDevice(int *device) { *device = 0; return 0; }
int cudaDriverGetVersion(int *version) { *version = 13000; return 0; }
int cudaRuntimeGetVersion(int *version) { *version = 13000; return 0; }
const char *cudaGetErrorString(int error) { (void)error; return "error of the rehearsal"; }
const char *cudaGetErrorName(int error) { return error == 2 ? "cudaErrorMemoryAllocation" : "cudaErrorRehearsal"; }
int cudaFuncGetAttributes(char *attributes, const void *function) {
  (void)function;
  memset(attributes, 0, 144);
  put(attributes, 24, 1024); /* maxThreadsPerBlock */
  return 0;
}
int cudaPointerGetAttributes(int *attributes, const void *address) {
  (void)address;
  attributes[0] = 2; /* cudaMemoryTypeDevice */
  attributes[1] = 0;
  return 0;
}
int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks_, const void *f, int size, size_t shared, unsigned flags) {
  (void)f, (void)size, (void)shared, (void)flags;
  *blocks_ = 2;
  return 0;
}
int cudaStreamIsCapturing(void *stream, int *status) { (void)stream; *status = 0; return 0; }
int cudaEventElapsedTime(float *milliseconds, void *a, void *b) { (void)a, (void)b; *milliseconds = 1; return 0; }

static int nothing(void) { return 0; }
int cudaGetDriverEntryPointByVersion(const char *symbol, void **function, unsigned version, unsigned long long flags, int *status) {
  (void)symbol, (void)version, (void)flags;
  *function = (void *)nothing;
  if (status) *status = 0;
  return 0;
}

/* Kernels: those of the provider register by the address of their host function. */
static struct { const void *host; const char *name; } functions[1 << 17];

void __cudaRegisterFunction(void **handle, const char *host, char *device, const char *name, int limit, void *a, void *b,
                            void *c, void *d, int *e) {
  (void)handle, (void)device, (void)limit, (void)a, (void)b, (void)c, (void)d, (void)e;
  size_t mask = sizeof functions / sizeof *functions - 1;
  size_t at = ((uintptr_t)host >> 4) & mask;
  while (functions[at].host && functions[at].host != host) at = (at + 1) & mask;
  functions[at].host = host;
  functions[at].name = name;
}

static int launched(const void *host) {
  size_t mask = sizeof functions / sizeof *functions - 1;
  size_t at = ((uintptr_t)host >> 4) & mask;
  while (functions[at].host && functions[at].host != host) at = (at + 1) & mask;
  note("launch %s\n", functions[at].host ? functions[at].name : "unknown");
  return 0;
}

void **__cudaRegisterFatBinary(void *binary) { (void)binary; return calloc(1, sizeof(void *)); }
int __cudaGetKernel(const void **kernel, const void *host) { *kernel = host; return 0; }
int __cudaLaunchKernel(const void *kernel, Dim3 grid, Dim3 block, void **arguments, size_t shared, void *stream) {
  (void)grid, (void)block, (void)arguments, (void)shared, (void)stream;
  return launched(kernel);
}
int cudaLaunchKernel(const void *host, Dim3 grid, Dim3 block, void **arguments, size_t shared, void *stream) {
  return __cudaLaunchKernel(host, grid, block, arguments, shared, stream);
}
int cudaLaunchCooperativeKernel(const void *host, Dim3 grid, Dim3 block, void **arguments, size_t shared, void *stream) {
  return __cudaLaunchKernel(host, grid, block, arguments, shared, stream);
}
int cudaLaunchKernelExC(const void *config, const void *host, void **arguments) {
  (void)config, (void)arguments;
  return launched(host);
}
int cudaLaunchHostFunc(void *stream, void (*function)(void *), void *argument) {
  (void)stream;
  function(argument);
  return 0;
}

/* Matrix products: CUDA numbers float32 0, float16 2, bfloat16 14. */
int cublasGemmEx(void *handle, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int a_type, int lda,
                 const void *b, int b_type, int ldb, const void *beta, void *c, int c_type, int ldc, int compute, int algo) {
  (void)handle, (void)ta, (void)tb, (void)alpha, (void)a, (void)lda, (void)b, (void)b_type, (void)ldb, (void)beta, (void)c,
      (void)c_type, (void)ldc, (void)algo;
  note("gemm %d %d %d %d %d\n", m, n, k, a_type, compute);
  return 0;
}
int cublasGemmStridedBatchedEx(void *handle, int ta, int tb, int m, int n, int k, const void *alpha, const void *a, int a_type,
                               int lda, long long sa, const void *b, int b_type, int ldb, long long sb, const void *beta,
                               void *c, int c_type, int ldc, long long sc, int batch, int compute, int algo) {
  (void)sa, (void)sb, (void)sc, (void)batch;
  return cublasGemmEx(handle, ta, tb, m, n, k, alpha, a, a_type, lda, b, b_type, ldb, beta, c, c_type, ldc, compute, algo);
}
int cublasSgemm_v2(void *handle, int ta, int tb, int m, int n, int k) {
  (void)handle, (void)ta, (void)tb;
  note("gemm %d %d %d 0 68\n", m, n, k);
  return 0;
}
int cublasLtMatmulAlgoGetHeuristic(void *handle, void *desc, void *a, void *b, void *c, void *d, void *preference, int wanted,
                                   void *results, int *count) {
  (void)handle, (void)desc, (void)a, (void)b, (void)c, (void)d, (void)preference, (void)wanted;
  memset(results, 0, 96);
  *count = 1;
  return 0;
}
int cublasLtMatmul(void) { note("gemm lt\n"); return 0; }
int cublasGetMathMode(void *handle, int *mode) { (void)handle; *mode = 0; return 0; }
const char *cublasGetStatusName(int status) { (void)status; return ""; }
const char *cublasGetStatusString(int status) { (void)status; return ""; }

#define MAKES_HANDLE(name) int name(void **handle) { return handle_of(handle); }
MAKES_HANDLE(cublasCreate_v2)
MAKES_HANDLE(cublasLtCreate)
MAKES_HANDLE(cublasLtMatmulDescCreate)
MAKES_HANDLE(cublasLtMatmulPreferenceCreate)
MAKES_HANDLE(cublasLtMatrixLayoutCreate)
MAKES_HANDLE(cublasLtMatrixTransformDescCreate)
MAKES_HANDLE(cudaEventCreate)
MAKES_HANDLE(cudaEventCreateWithFlags)
MAKES_HANDLE(cudaGraphInstantiate)
MAKES_HANDLE(cudaLibraryGetKernel)
MAKES_HANDLE(cudaLibraryLoadData)
MAKES_HANDLE(cudaMemPoolCreate)
MAKES_HANDLE(cudaStreamCreate)
MAKES_HANDLE(cudaStreamCreateWithFlags)

#define SUCCEEDS(name) int name(void) { return 0; }
SUCCEEDS(__cudaPopCallConfiguration)
SUCCEEDS(__cudaPushCallConfiguration)
SUCCEEDS(__cudaRegisterFatBinaryEnd)
SUCCEEDS(__cudaRegisterVar)
SUCCEEDS(__cudaUnregisterFatBinary)
SUCCEEDS(cuTensorMapEncodeTiled)
SUCCEEDS(cublasDcopy_v2)
SUCCEEDS(cublasDestroy_v2)
SUCCEEDS(cublasDgeam)
SUCCEEDS(cublasDgemmBatched)
SUCCEEDS(cublasDgemmStridedBatched)
SUCCEEDS(cublasDgemm_v2)
SUCCEEDS(cublasDgetrfBatched)
SUCCEEDS(cublasDgetriBatched)
SUCCEEDS(cublasGemmBatchedEx)
SUCCEEDS(cublasLtDestroy)
SUCCEEDS(cublasLtMatmulAlgoConfigSetAttribute)
SUCCEEDS(cublasLtMatmulAlgoInit)
SUCCEEDS(cublasLtMatmulDescDestroy)
SUCCEEDS(cublasLtMatmulDescSetAttribute)
SUCCEEDS(cublasLtMatmulPreferenceDestroy)
SUCCEEDS(cublasLtMatmulPreferenceSetAttribute)
SUCCEEDS(cublasLtMatrixLayoutDestroy)
SUCCEEDS(cublasLtMatrixLayoutSetAttribute)
SUCCEEDS(cublasLtMatrixTransform)
SUCCEEDS(cublasLtMatrixTransformDescDestroy)
SUCCEEDS(cublasScopy_v2)
SUCCEEDS(cublasSetMathMode)
SUCCEEDS(cublasSetStream_v2)
SUCCEEDS(cublasSgeam)
SUCCEEDS(cublasSgemmBatched)
SUCCEEDS(cublasSgemmStridedBatched)
SUCCEEDS(cublasSgetrfBatched)
SUCCEEDS(cublasSgetriBatched)
SUCCEEDS(cublasSscal_v2)
SUCCEEDS(cudaDeviceSynchronize)
SUCCEEDS(cudaEventDestroy)
SUCCEEDS(cudaEventRecord)
SUCCEEDS(cudaEventSynchronize)
SUCCEEDS(cudaFuncSetAttribute)
SUCCEEDS(cudaGetLastError)
SUCCEEDS(cudaGraphDestroy)
SUCCEEDS(cudaGraphExecDestroy)
SUCCEEDS(cudaGraphLaunch)
SUCCEEDS(cudaKernelSetAttributeForDevice)
SUCCEEDS(cudaLibraryUnload)
SUCCEEDS(cudaMemPoolDestroy)
SUCCEEDS(cudaMemPoolGetAttribute)
SUCCEEDS(cudaMemPoolSetAttribute)
SUCCEEDS(cudaMemPoolTrimTo)
SUCCEEDS(cudaMemcpy2DAsync)
SUCCEEDS(cudaMemcpyFromSymbol)
SUCCEEDS(cudaPeekAtLastError)
SUCCEEDS(cudaSetDevice)
SUCCEEDS(cudaStreamBeginCapture)
SUCCEEDS(cudaStreamDestroy)
SUCCEEDS(cudaStreamEndCapture)
SUCCEEDS(cudaStreamSynchronize)
SUCCEEDS(cudaStreamWaitEvent)
