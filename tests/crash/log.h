/* The log of a run: every change of the cache folder and of the bucket, in the order in which they took effect.
 *
 * Changes of files carry their bytes. Texts and bytes are offsets into an arena. Not thread-safe: whoever
 * appends holds the recorder's lock (record.h). */
#ifndef TOOTFS_CRASH_LOG_H
#define TOOTFS_CRASH_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_kind {
	/* files: node */
	EVENT_WRITE, /* data, length at offset */
	EVENT_SIZE,  /* length */
	/* folders: dir; node is what the name means, flag says that it is a folder */
	EVENT_MAKE,   /* text */
	EVENT_UNLINK, /* text */
	EVENT_RENAME, /* text becomes text2; flag: they are exchanged, and node2 is what text2 meant */
	/* what was written to node before event `offset` is durable; NODE_ALL: of every node */
	EVENT_SYNC,
	/* the bucket: request; text = key */
	EVENT_ASK,
	EVENT_OBJECT, /* data, length, text2 = ETag, attrs */
	EVENT_NO_OBJECT,
	EVENT_UPLOAD, /* text2 = id, attrs */
	EVENT_PART,   /* text2 = id, node = number, data, length */
	EVENT_UPLOAD_END,
	EVENT_ANSWER,
	/* what was promised: transaction `offset` and all before it survive from here on */
	EVENT_COVERED,
	EVENT_SYNCED,
};

#define NODE_ALL UINT32_MAX

struct event {
	uint8_t kind;
	bool flag;
	uint32_t dir, node, node2;
	uint32_t request;
	uint64_t offset, length;
	uint64_t data, text, text2, attrs;
};

struct log {
	struct event *events;
	size_t count;
	char *arena;
	size_t used;
};

void log_init(struct log *log);
void log_destroy(struct log *log);
void log_clear(struct log *log);
struct event *log_add(struct log *log, enum event_kind kind);
uint64_t log_bytes(struct log *log, const void *bytes, size_t length);
uint64_t log_text(struct log *log, const char *text);
static inline const char *log_at(const struct log *log, uint64_t offset)
{
	return log->arena + offset;
}

/* To a file and back, with whatever the caller has to add; they end the program where they fail. */
void log_save(const struct log *log, int fd);
void log_load(struct log *log, int fd);
void write_fully(int fd, const void *bytes, size_t length);
void read_fully(int fd, void *bytes, size_t length);

/* -- small things that all parts share -- */

/* One number after the other from a seed. */
static inline uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline unsigned draw_below(uint64_t *state, unsigned below)
{
	return (unsigned)(draw(state) % below);
}

uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t length);

/* Ends the program: the test itself is broken. */
_Noreturn void broken(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
