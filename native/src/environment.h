// What one Node environment (the main thread, or a worker) holds of this addon.
#pragma once

#include <napi.h>

#include <set>

#include "executor.h"

class Embedder;
class Session;

struct Environment {
    explicit Environment(Napi::Env env) : executor(env) {}

    static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

    Executor executor;
    std::set<Session*> sessions;
    std::set<Embedder*> embedders;
};
