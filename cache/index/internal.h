/* The inside of struct index and struct txn, and the tables below every module. For cache/index/ only. */
#ifndef TOOTFS_INDEX_INTERNAL_H
#define TOOTFS_INDEX_INTERNAL_H

#include <lmdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cache/base/lock.h"
#include "index.h"
#include "journal.h"
#include "record.h"
#include "room.h"
#include "steady.h"

/* -- tables (dbi.c) -- */
enum dbi {
	DBI_MAIN,      /* format, identity, counters; LMDB's own records of the other tables */
	DBI_META,      /* name → small value */
	DBI_NODES,     /* ino → node */
	DBI_NAMES,     /* parent, name → ino */
	DBI_PENDING,   /* key → wish */
	DBI_UPLOADS,   /* blob → multipart upload */
	DBI_AGES,      /* ino → stamp */
	DBI_AGE_ORDER, /* stamp, ino → bytes held */
	DBI_ORPHANS,   /* ino → nothing */
	DBI_LINKS,     /* ino, parent, name → nothing */
	DBI_XATTRS,    /* ino, name → value */
	DBI_COUNT,
};

struct bytes {
	const void *at;
	size_t length;
};

/* One table; flags of mdb_dbi_open are added to its own. LMDB's code. */
int dbi_open(MDB_txn *mdb, enum dbi dbi, unsigned flags, MDB_dbi *out) MUST_CHECK;
const char *dbi_name(enum dbi dbi);
/* Opens every table (makes it, where mdb writes); they stay open if mdb is committed. */
int dbi_open_all(MDB_txn *mdb, MDB_dbi out[DBI_COUNT], bool create) MUST_CHECK;
/* *out points into the map: it is valid until the next write in this transaction, or its end.
 * -ENOENT. */
int dbi_get(struct txn *txn, enum dbi dbi, struct bytes key, struct bytes *out) MUST_CHECK;
int dbi_put(struct txn *txn, enum dbi dbi, struct bytes key, struct bytes value) MUST_CHECK;
/* A key that is not there yet, else -EEXIST. Behind the last one it fills pages to the brim. */
int dbi_insert(struct txn *txn, enum dbi dbi, struct bytes key, struct bytes value) MUST_CHECK;
int dbi_delete(struct txn *txn, enum dbi dbi, struct bytes key) MUST_CHECK; /* -ENOENT */
/* The first record at key or behind it; strictly: behind it. -ENOENT. */
int dbi_seek(struct txn *txn, enum dbi dbi, struct bytes key, bool strictly, struct bytes *found,
	     struct bytes *value) MUST_CHECK;
/* A walk forward over a table that is not changed meanwhile: start, next while it returns 1 (0 =
 * the end), end. */
struct dbi_walk {
	struct txn *txn;
	MDB_cursor *cursor;
	struct bytes from; /* the first record is the one at it or behind it */
	bool started;
};
int dbi_walk_start(struct txn *txn, enum dbi dbi, struct bytes from,
		   struct dbi_walk *out) MUST_CHECK;
int dbi_walk_next(struct dbi_walk *walk, struct bytes *key, struct bytes *value) MUST_CHECK;
void dbi_walk_end(struct dbi_walk *walk);
/* A record that cannot be decoded: logs it, returns -EUCLEAN. */
int dbi_damaged(enum dbi dbi, struct bytes key);
/* LMDB's code → -errno; the only place. */
int dbi_errno(int rc);

/* A u64 key as the tables by ino and blob have it: host order, aligned. */
static inline struct bytes dbi_key(const uint64_t *number)
{
	return (struct bytes){number, sizeof(*number)};
}

/* -- transactions (txn.c) -- */
struct txn {
	struct index *index;
	MDB_txn *mdb;
	bool writes;
	bool looks;  /* reads in the batch, with index->writer held */
	bool redoes; /* what stands in the journal already */
	/* writing only */
	int failed; /* the first error that left it half done: it can only be aborted */
	bool counters_changed;
	struct counters counters;
	/* reading only */
	struct txn *idle_next;
};

/* Read transactions that are kept when idle; more are freed. */
enum { TXN_IDLE_MAX = 64, TXN_READERS_MAX = 512 };

/* The first transaction of a new index: makes the tables and starts the counters. */
int txn_begin_first(struct index *index, struct txn **out) MUST_CHECK;
/* Also where nothing was changed, for which LMDB counts no transaction. With index->writer held, or
 * alone. */
void txn_note_newest(struct index *index);
/* Commits one of LMDB's own, that no other works in. */
int txn_commit_mdb(struct index *index, MDB_txn *mdb) MUST_CHECK;
int txn_counters(struct txn *txn, struct counters *out) MUST_CHECK;
/* For a change: the transaction writes them when it commits. */
struct counters *txn_counters_edit(struct txn *txn);
void txn_pool_destroy(struct index *index);
/* Adds b and takes off a, never below 0: a sum that is off by rot must not become huge. */
void counter_move(uint64_t *counter, uint64_t off, uint64_t on);

/* -- the batch (batch.c) -- */
struct batch {
	MDB_txn *mdb; /* NULL = it cannot be begun just now */
	_Atomic unsigned changes; /* acknowledged, not in index.mdb; changed by the writer's holder */
	struct buf change;	  /* the steps of the change under way */
	struct wakeup work, done;
	pthread_t thread;
	int64_t due_ms;
	uint64_t rounds;
	int error; /* of the last round */
	bool running, started, asked, stopping, spoilt; /* spoilt: LMDB refuses everything in it */
	int *unkept; /* it has a change that is not in the journal: where the result of its commit goes; or NULL */
};

/* -- the map (map.c) -- */
/* Where a file is mapped; both untouched where that is not known. */
void map_find(int file_fd, void **map, size_t *map_bytes);
void map_open(struct index *index);
void map_close(struct index *index);
/* Once a transaction, at its start. */
void map_used(struct index *index);

/* -- the file index.damaged (damage.c) -- */
/* mended: the file was changed so that it can be read. */
int index_note_damage(int folder_fd, bool mended) MUST_CHECK;
bool index_has_damage(int folder_fd);
bool index_was_mended(int folder_fd);
/* LMDB came upon damage: noted for the next start, and logged, once. */
void index_damaged(struct index *index);

/* -- the environment (index.c, checkpoint.c) -- */
struct index_checkpoint {
	struct index *index;
	MDB_txn *pin;
	struct steady steady;
};

struct index {
	/* fixed after index_open */
	MDB_env *env;
	MDB_dbi dbis[DBI_COUNT];
	char *identity;
	char boot_id[STEADY_BOOT_BYTES];
	int folder_fd, file_fd; /* file_fd is LMDB's */
	unsigned page_bytes;
	bool read_only;
	_Atomic bool damaged; /* it was noted */
	_Atomic bool closed; /* marked clean: no more changes */

	void *map; /* NULL = not known */
	size_t map_bytes;
	int statm_fd;
	_Atomic unsigned map_uses; /* map.c's */

	/* who holds it writes: over a write transaction, and while a checkpoint copies the meta
	 * pages */
	struct lock writer;
	struct txn write_txn, look_txn; /* by its holder */
	struct journal journal;
	struct batch batch;
	struct room room;
	struct lock idle_lock; /* leaf */
	struct txn *idle;      /* guarded by idle_lock */
	unsigned idle_count;
	_Atomic unsigned readers;

	struct lock blobs_lock; /* held over the transaction that reserves: index_new_blob only */
	uint64_t blob_next, blob_end;

	_Atomic uint64_t newest, pinned, covered, changes;
	_Atomic uint64_t file_bytes, pinned_bytes; /* up to the last page; at the last checkpoint's begin */

	/* owned by the one who checkpoints */
	_Atomic bool checkpointing;
	struct steady steady; /* the last one written */
	MDB_txn *pin;	      /* keeps the pages that steady needs */
	MDB_txn *pin_unsure;  /* after a failed fsync of the folder: either may be the one */
	bool broken;	      /* the disk failed to make something durable: no more checkpoints */
};

/* -- the batch, on (batch.c) -- */
/* Starts its thread; changes that the journal has are in the batch when it returns. */
int batch_open(struct index *index) MUST_CHECK;
void batch_close(struct index *index);
/* The journal's changes, once more. */
int batch_redo(struct index *index, MDB_txn *mdb) MUST_CHECK;
/* Until index.mdb has every change that was acknowledged before; without a batch it has. */
int batch_flush(struct index *index) MUST_CHECK;
int batch_flush_locked(struct index *index) REQUIRES(&index->writer) MUST_CHECK;
/* A change with the id of that transaction was acknowledged. */
void batch_changed_locked(struct index *index, uint64_t txn) REQUIRES(&index->writer);

#endif
