/* Both arrays are mapped once, larger than any run needs, and take memory only where they are written. */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EVENTS_MAX ((size_t)1 << 21)
#define ARENA_BYTES ((size_t)8 << 30)

static void *map(size_t length)
{
	void *at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		broken("mmap: %s", strerror(errno));
	return at;
}

void log_init(struct log *log)
{
	log->events = map(EVENTS_MAX * sizeof(*log->events));
	log->arena = map(ARENA_BYTES);
	log->count = 0;
	log->used = 1; /* so that 0 is no text */
}

void log_destroy(struct log *log)
{
	munmap(log->events, EVENTS_MAX * sizeof(*log->events));
	munmap(log->arena, ARENA_BYTES);
}

void log_clear(struct log *log)
{
	log->count = 0;
	log->used = 1;
}

struct event *log_add(struct log *log, enum event_kind kind)
{
	if (log->count == EVENTS_MAX)
		broken("the log is full");
	struct event *event = &log->events[log->count++];
	memset(event, 0, sizeof(*event));
	event->kind = (uint8_t)kind;
	return event;
}

uint64_t log_bytes(struct log *log, const void *bytes, size_t length)
{
	uint64_t at = log->used;
	if (length > ARENA_BYTES - log->used)
		broken("the log is full");
	memcpy(log->arena + at, bytes, length);
	log->used += length;
	return at;
}

uint64_t log_text(struct log *log, const char *text)
{
	return log_bytes(log, text, strlen(text) + 1);
}

/* -- files -- */

void write_fully(int fd, const void *bytes, size_t length)
{
	const char *from = bytes;
	while (length > 0) {
		long n = syscall(SYS_write, fd, from, length);
		if (n <= 0)
			broken("write: %s", strerror(errno));
		from += n;
		length -= (size_t)n;
	}
}

void read_fully(int fd, void *bytes, size_t length)
{
	char *to = bytes;
	while (length > 0) {
		long n = read(fd, to, length);
		if (n <= 0)
			broken("read: %s", n ? strerror(errno) : "the file is too short");
		to += n;
		length -= (size_t)n;
	}
}

void log_save(const struct log *log, int fd)
{
	write_fully(fd, &log->count, sizeof(log->count));
	write_fully(fd, &log->used, sizeof(log->used));
	write_fully(fd, log->events, log->count * sizeof(*log->events));
	write_fully(fd, log->arena, log->used);
}

void log_load(struct log *log, int fd)
{
	read_fully(fd, &log->count, sizeof(log->count));
	read_fully(fd, &log->used, sizeof(log->used));
	if (log->count > EVENTS_MAX || log->used > ARENA_BYTES)
		broken("not the log of a run");
	read_fully(fd, log->events, log->count * sizeof(*log->events));
	read_fully(fd, log->arena, log->used);
}

/* -- */

uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t length)
{
	const char *at = bytes;
	uint64_t hash = seed ^ length * UINT64_C(0x9e3779b97f4a7c15), word;
	for (; length >= 8; at += 8, length -= 8) {
		memcpy(&word, at, 8);
		hash = (hash ^ word) * UINT64_C(0xff51afd7ed558ccd);
		hash ^= hash >> 32;
	}
	word = 0;
	if (length)
		memcpy(&word, at, length);
	hash = (hash ^ word) * UINT64_C(0xc4ceb9fe1a85ec53);
	return hash ^ hash >> 29;
}

void broken(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	fputs("crash: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	_exit(3);
}
