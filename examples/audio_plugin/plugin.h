/* An instrument that plays what a language model writes, as a host of audio plug-ins sees it. */
#ifndef AUDIO_PLUGIN_PLUGIN_H_
#define AUDIO_PLUGIN_PLUGIN_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct Instrument Instrument;

typedef struct InstrumentStatistics {
  uint64_t notes;      /* that the model has written */
  uint64_t played;     /* that were heard */
  uint64_t longest_us; /* the longest time that the model took for one piece of text */
  int failed;          /* the model writes no more */
} InstrumentStatistics;

/* On the main thread. Null if it failed; says why on the standard error. */
Instrument* plugin_create(const char* model, double sample_rate);
void plugin_destroy(Instrument* instrument);
InstrumentStatistics plugin_statistics(const Instrument* instrument);

/* On the real-time thread: mono samples for the next `frames` frames. Takes no lock, no memory and
 * no system call. */
void plugin_process(Instrument* instrument, float* out, uint32_t frames);
/* From any thread: how wild the model is, as inlay::Sampling::temperature. */
void plugin_set_temperature(Instrument* instrument, float temperature);

#ifdef __cplusplus
}
#endif

#endif /* AUDIO_PLUGIN_PLUGIN_H_ */
