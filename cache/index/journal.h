/* The journal: changes that are acknowledged and not yet in index.mdb.
 *
 * A commit of LMDB writes 10 to 20 pages however small the change, and between two checkpoints uses none of them again. So
 * changes are gathered in one open transaction (batch.c), and each is acknowledged when it stands in the file
 * `journal`: some hundred bytes, one write, never synced. It is for a killed process only: after a power cut
 * the index goes back to its last checkpoint, which no change in the journal precedes, and the journal is thrown away.
 *
 * Held by who has index->writer, or alone. */
#ifndef TOOTFS_JOURNAL_H
#define TOOTFS_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"

struct journal {
	int fd; /* -1 = none: nothing fits */
	uint8_t *bytes; /* what the file has, for journal_each */
	size_t length, newest; /* of all changes; where the newest begins */
	uint64_t base; /* the transaction that the changes follow */
	uint32_t count;
};

/* Opens the file or makes it, as long as it will ever be, so that no change needs room on the disk later. Reads
 * the changes that follow transaction base. Without a file it goes on (one line in the log): then nothing fits.
 * look: changes nothing; -ENOENT is no error. */
int journal_open(struct journal *j, int folder_fd, uint64_t base, bool look) MUST_CHECK;
void journal_close(struct journal *j);
/* Removes the file, durably. */
int journal_discard(int folder_fd) MUST_CHECK;

/* A change is the puts and deletes of one transaction, in order. */
void journal_note_put(struct buf *change, unsigned table, const void *key, size_t key_bytes, const void *value,
		      size_t value_bytes);
void journal_note_delete(struct buf *change, unsigned table, const void *key, size_t key_bytes);

/* Nothing but the journal's size decides; at half full it is time to begin anew. */
bool journal_fits(const struct journal *j, const struct buf *change);
bool journal_half_full(const struct journal *j);
/* Survives a killed process when it returns 0; else nothing of it is there. */
int journal_append(struct journal *j, const struct buf *change) MUST_CHECK;
/* The newest change came to nothing. */
void journal_take_back(struct journal *j);
/* All is in index.mdb, whose newest transaction is base. */
void journal_restart(struct journal *j, uint64_t base);

struct journal_step {
	unsigned table;
	bool is_delete;
	const uint8_t *key, *value;
	size_t key_bytes, value_bytes;
};
typedef int journal_visit(void *arg, const struct journal_step *step);
/* The steps of one change, in order, of any bytes: stops at the first that returns non-zero, and returns that; -EUCLEAN where
 * the bytes are none. */
int journal_steps(const uint8_t *steps, size_t length, journal_visit *visit, void *arg);
/* Every step of every change in order, likewise. */
int journal_each(const struct journal *j, journal_visit *visit, void *arg);

#endif
