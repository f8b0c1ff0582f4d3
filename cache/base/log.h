/* The log: one line an event, to stderr, syslog(3) or the journal of systemd; with its priority.
 *
 * A message is words, then key=value pairs: log_warn("send: put failed key=%s error=%s", …).
 * Control characters and broken UTF-8 in the finished line are escaped (\xNN), since keys come from
 * the bucket. A line over 2,000 bytes is cut. Secrets are never passed in. Thread-safe. */
#ifndef TOOTFS_LOG_H
#define TOOTFS_LOG_H

#include <stdbool.h>
#include "err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };
enum log_sink {
	LOG_SINK_STDERR,
	LOG_SINK_SYSLOG,
	LOG_SINK_JOURNAL,	 /* by its socket; where nobody is there, syslog */
	LOG_SINK_JOURNAL_STREAM, /* stderr, which goes there (log_journal_is_stderr) */
};
/* Where somebody wants it to go; the program makes a sink of it. */
enum log_place { LOG_PLACE_AUTO, LOG_PLACE_STDERR, LOG_PLACE_SYSLOG, LOG_PLACE_JOURNALD };

struct log_config {
	enum log_level level;
	enum log_format format;
	enum log_sink sink;
	enum log_place place;
};

/* Before it is called: INFO, text, stderr. May be called again at any time. */
void log_setup(const struct log_config *config);
bool log_wants(enum log_level level);
void log_set_level(enum log_level level);
void log_write(enum log_level level, const char *fmt, ...) PRINTF(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_wants(LOG_LEVEL_DEBUG))                                                    \
			log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                   \
	} while (0)

#endif
