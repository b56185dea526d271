// The thread that computes: jobs run on it one after the other, their promises settle on the JavaScript thread. A thread of
// our own, because libuv's few are also the ones that read files: a slow disk must not hold up a decode.
#pragma once

#include <napi.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

class Job {
public:
    explicit Job(Napi::Env env) : deferred(Napi::Promise::Deferred::New(env)) {}
    virtual ~Job() = default;

    /** On the computing thread. What it throws rejects the promise. */
    virtual void run() = 0;
    /** On the JavaScript thread: what the promise resolves with. */
    virtual Napi::Value result(Napi::Env env) { return env.Undefined(); }

    /** Objects that must outlive the job. */
    void keep(const Napi::Object& object) { kept.push_back(Napi::Persistent(object)); }

    Napi::Promise::Deferred deferred;
    std::string error;

private:
    std::vector<Napi::ObjectReference> kept;
};

class Executor {
public:
    explicit Executor(Napi::Env env);
    /** Returns the job's promise. */
    Napi::Value post(Napi::Env env, std::unique_ptr<Job> job);
    /** Ends the thread after the job under way; the jobs behind it never run, their promises stay open. */
    void stop();

private:
    void work();
    static void settle(napi_env env, napi_value callback, void* context, void* data);

    napi_threadsafe_function settled = nullptr;
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<Job*> queue;
    std::thread thread;
    bool stopping = false;
    /** Posted and not yet settled; only the JavaScript thread counts. The process stays alive as long as there is one. */
    size_t open = 0;
};
