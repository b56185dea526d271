// Persistent compute threads. Without one attached, llama.cpp makes its threads anew for every graph: a third of the time of
// a decode step on two cores.
#pragma once

#include <llama.h>

/** Lets the context compute with up to `threads` threads, of a pool that all contexts share: they must not compute at once. */
void attachSharedThreadPool(llama_context* context, int32_t threads);
