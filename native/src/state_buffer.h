// Memory for saved sequence states, outside V8's heap and outside malloc: megabytes that go back to the system the moment
// they are freed, not when a garbage collection finds the time.
#pragma once

#include <napi.h>

/** allocateState(sizeBytes): ArrayBuffer, zeroed. Throws where the system has no such memory. */
Napi::Value allocateState(const Napi::CallbackInfo& info);
/** freeState(buffer): gives the memory back at once and detaches the buffer; again on the same buffer does nothing. */
Napi::Value freeState(const Napi::CallbackInfo& info);
