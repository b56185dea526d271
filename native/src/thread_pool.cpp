#include "thread_pool.h"

#include <ggml-backend.h>
#include <ggml-cpu.h>

#include <map>
#include <mutex>
#include <stdexcept>

namespace {

std::mutex mutex;
/** By number of threads; they live as long as the process. */
std::map<int32_t, ggml_threadpool_t> pools;

/**
 * How long an idle worker spins before it sleeps, in llama.cpp's unit (0 to 100). Enough to bridge the pause between two
 * passes; llama.cpp's own 50 burns a core for a tenth of a second after the last one.
 */
constexpr uint32_t polling = 1;

ggml_threadpool_t poolOf(int32_t threads) {
    const std::lock_guard<std::mutex> lock(mutex);
    const auto found = pools.find(threads);
    if (found != pools.end()) return found->second;
    ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    if (device == nullptr) throw std::runtime_error("llama.cpp has no CPU backend");
    const auto create = reinterpret_cast<decltype(ggml_threadpool_new)*>(
        ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), "ggml_threadpool_new"));
    if (create == nullptr) throw std::runtime_error("llama.cpp's CPU backend has no thread pools");
    ggml_threadpool_params params = ggml_threadpool_params_default(threads);
    params.poll = polling;
    ggml_threadpool_t pool = create(&params);
    if (pool == nullptr) throw std::runtime_error("llama.cpp could not start its threads");
    pools[threads] = pool;
    return pool;
}

} // namespace

void attachSharedThreadPool(llama_context* context, int32_t threads) {
    ggml_threadpool_t pool = poolOf(threads);
    llama_attach_threadpool(context, pool, pool);
    llama_set_n_threads(context, threads, threads);
}
