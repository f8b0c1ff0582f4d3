/* The journal of systemd, without its library. */
#ifndef TOOTFS_LOG_JOURNAL_H
#define TOOTFS_LOG_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Does stderr go there? JOURNAL_STREAM names what it was at the start. */
bool log_journal_is_stderr(void);
/* Is somebody there? Keeps the socket for log_journal_send. Called by one thread at a time. */
bool log_journal_open(const char *path);
/* One entry; the text has no newline. false: it could not be delivered. Thread-safe; never waits for long. */
bool log_journal_send(int priority, const char *text, size_t length);

#endif
