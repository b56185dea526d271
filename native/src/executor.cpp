#include "executor.h"

#include <exception>

Executor::Executor(Napi::Env env) {
    const auto name = Napi::String::New(env, "gguf-experts compute");
    if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, settle, &settled) != napi_ok)
        throw Napi::Error::New(env, "no thread-safe function for the computing thread");
    napi_unref_threadsafe_function(env, settled);
}

Napi::Value Executor::post(Napi::Env env, std::unique_ptr<Job> job) {
    if (stopping) throw Napi::Error::New(env, "the computing thread has ended");
    const auto promise = job->deferred.Promise();
    if (!thread.joinable()) thread = std::thread([this] { work(); });
    if (open++ == 0) napi_ref_threadsafe_function(env, settled);
    {
        std::lock_guard<std::mutex> lock(mutex);
        queue.push_back(job.release());
    }
    wake.notify_one();
    return promise;
}

void Executor::stop() {
    {
        std::lock_guard<std::mutex> lock(mutex);
        stopping = true;
    }
    wake.notify_one();
    if (thread.joinable()) thread.join();
}

void Executor::work() {
    while (true) {
        Job* job = nullptr;
        {
            std::unique_lock<std::mutex> lock(mutex);
            wake.wait(lock, [this] { return stopping || !queue.empty(); });
            if (stopping) return;
            job = queue.front();
            queue.pop_front();
        }
        try {
            job->run();
        } catch (const std::exception& error) {
            job->error = error.what();
        } catch (...) {
            job->error = "an unknown native error";
        }
        napi_call_threadsafe_function(settled, job, napi_tsfn_nonblocking);
    }
}

void Executor::settle(napi_env rawEnv, napi_value, void* context, void* data) {
    // Without an environment the process is about to end, and nothing of it may be touched any more.
    if (rawEnv == nullptr) return;
    auto* executor = static_cast<Executor*>(context);
    const std::unique_ptr<Job> job(static_cast<Job*>(data));
    const Napi::Env env(rawEnv);
    const Napi::HandleScope scope(env);
    if (--executor->open == 0) napi_unref_threadsafe_function(env, executor->settled);
    if (!job->error.empty()) {
        job->deferred.Reject(Napi::Error::New(env, job->error).Value());
        return;
    }
    try {
        job->deferred.Resolve(job->result(env));
    } catch (const Napi::Error& error) {
        job->deferred.Reject(error.Value());
    }
}
