/* One event is one line, made on the stack and handed over in one write, so that lines of several threads
 * never mix and logging works without memory.
 *
 *     text, stderr    2024-05-01T12:00:00.123Z warn send: put failed key=a/b.png error=...
 *     text, syslog    send: put failed key=a/b.png error=...      (syslog and the journal add time and level)
 *     text, journal's stream   <4>send: put failed key=a/b.png error=...
 *     JSON, all       {"time":"2024-05-01T12:00:00.123Z","level":"warn","message":"send: put failed key=..."}
 *
 * The pairs stay inside the message also in JSON: a key may hold blanks and '=', so that taking them apart
 * again would let an object's name invent fields. Escaping makes a line that is valid UTF-8 without
 * control characters; JSON then only has '"' and '\' left to escape. */
#include "log.h"
#include "log_journal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

enum { LINE_BYTES_MAX = 2000 };

static _Atomic int wanted_level = LOG_LEVEL_INFO;
static _Atomic int line_format = LOG_FORMAT_TEXT;
static _Atomic int line_sink = LOG_SINK_STDERR;

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const int level_priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

struct line {
	char bytes[LINE_BYTES_MAX + 1]; /* and a newline */
	size_t length, limit;
};

void log_setup(const struct log_config *config)
{
	int sink = (int)config->sink;

	if (sink == LOG_SINK_JOURNAL && !log_journal_open(LOG_JOURNAL_SOCKET))
		sink = LOG_SINK_SYSLOG;
	if (sink == LOG_SINK_SYSLOG || sink == LOG_SINK_JOURNAL) /* which may fail */
		openlog("tootfs", LOG_PID | LOG_NDELAY, LOG_DAEMON);
	atomic_store(&wanted_level, (int)config->level);
	atomic_store(&line_format, (int)config->format);
	atomic_store(&line_sink, sink);
}

void log_set_level(enum log_level level)
{
	atomic_store(&wanted_level, (int)level);
}

bool log_wants(enum log_level level)
{
	return (int)level <= atomic_load(&wanted_level);
}

/* All of it or nothing, so that a cut never splits a character or an escape. */
static bool put(struct line *line, const char *bytes, size_t length)
{
	if (length > line->limit - line->length)
		return false;
	memcpy(line->bytes + line->length, bytes, length);
	line->length += length;
	return true;
}

static void put_text(struct line *line, const char *text)
{
	(void)put(line, text, strlen(text));
}

/* Length of the printable UTF-8 character at s, or 0 for a control character or broken UTF-8. A NUL ends s,
 * so that no read goes past it. */
static size_t printable(const unsigned char *s)
{
	static const uint32_t lowest[] = {0, 0x20, 0xa0, 0x800, 0x10000}; /* by length; C1 controls end at 0x9f */
	size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	uint32_t c = length <= 1 ? s[0] : s[0] & (0xffu >> (length + 1));

	if (length == 0 || s[0] > 0xf4 || s[0] == 0x7f)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < lowest[length] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 0;
	if (c == 0x2028 || c == 0x2029) /* some readers of JSON end a line there */
		return 0;
	return length;
}

static bool put_escaped(struct line *line, const char *text, bool json)
{
	for (const unsigned char *s = (const unsigned char *)text; *s;) {
		char escaped[8];
		size_t length = printable(s);
		bool fits;
		if (length == 0) {
			int n = snprintf(escaped, sizeof(escaped), "%s\\x%02x", json ? "\\" : "", *s);
			fits = put(line, escaped, (size_t)n);
			length = 1;
		} else if (json && (*s == '"' || *s == '\\')) {
			escaped[0] = '\\';
			escaped[1] = (char)*s;
			fits = put(line, escaped, 2);
		} else {
			fits = put(line, (const char *)s, length);
		}
		if (!fits)
			return false;
		s += length;
	}
	return true;
}

static void put_time(struct line *line)
{
	struct timespec now;
	struct tm tm;
	char text[64];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%03ldZ", now.tv_nsec / 1000000);
	put_text(line, text);
}

/* bare: who takes it knows time and level. */
static void put_head(struct line *line, enum log_level level, bool json, int sink)
{
	bool bare = sink != LOG_SINK_STDERR;

	if (sink == LOG_SINK_JOURNAL_STREAM) {
		char priority[8];
		snprintf(priority, sizeof(priority), "<%d>", level_priorities[level]);
		put_text(line, priority);
	}
	if (json)
		put_text(line, "{\"time\":\"");
	if (json || !bare)
		put_time(line);
	if (json)
		put_text(line, "\",\"level\":\"");
	else if (!bare)
		put_text(line, " ");
	if (json || !bare)
		put_text(line, level_names[level]);
	if (json)
		put_text(line, "\",\"message\":\"");
	else if (!bare)
		put_text(line, " ");
}

static void deliver(struct line *line, enum log_level level, int sink)
{
	if (sink == LOG_SINK_JOURNAL && log_journal_send(level_priorities[level], line->bytes, line->length))
		return;
	if (sink == LOG_SINK_SYSLOG || sink == LOG_SINK_JOURNAL) {
		syslog(level_priorities[level], "%.*s", (int)line->length, line->bytes);
		return;
	}
	line->bytes[line->length++] = '\n';
	for (size_t done = 0; done < line->length;) {
		ssize_t n = write(STDERR_FILENO, line->bytes + done, line->length - done);
		if (n < 0 && errno != EINTR)
			return; /* a log that cannot be written has nowhere to complain */
		if (n > 0)
			done += (size_t)n;
	}
}

void log_write(enum log_level level, const char *fmt, ...)
{
	static const char ellipsis[] = "...";
	const char *tail = atomic_load(&line_format) == LOG_FORMAT_JSON ? "\"}" : "";
	bool json = *tail;
	int saved_errno = errno, sink = atomic_load(&line_sink);
	char text[LINE_BYTES_MAX + 48]; /* longer than any line: what is cut off here is never reached below */
	struct line line;
	va_list args;

	if (!log_wants(level))
		return;
	va_start(args, fmt);
	if (vsnprintf(text, sizeof(text), fmt, args) < 0)
		text[0] = '\0';
	va_end(args);

	line.length = 0;
	line.limit = LINE_BYTES_MAX - strlen(ellipsis) - strlen(tail);
	put_head(&line, level, json, sink);
	bool whole = put_escaped(&line, text, json);
	line.limit = LINE_BYTES_MAX;
	if (!whole)
		put_text(&line, ellipsis);
	put_text(&line, tail);
	deliver(&line, level, sink);
	errno = saved_errno;
}
