/* The index: what is remembered, in one LMDB environment; transactions, checkpoints and recovery.
 *
 * One process opens it (the caller holds the cache's lock file); never before a fork. Write transactions
 * are serialised; read transactions see a snapshot and never wait. A transaction belongs to one
 * thread. Commits are made without fsync: they survive a killed process (journal.h), not a power cut; a
 * checkpoint makes them durable (see checkpoint.c for the protocol).
 *
 * Errors everywhere in cache/index/: -ENOENT (no such record), -EEXIST, -ENOSPC (disk or map full), -EIO,
 * -EUCLEAN (a record that cannot be decoded; logged with its table and key), -ENOMEM. */
#ifndef TOOTFS_INDEX_H
#define TOOTFS_INDEX_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"

enum { INDEX_FORMAT = 1, INO_ROOT = 1 };

struct index;
struct txn;

struct index_config {
	const char *folder;   /* exists; index files are folder/index.mdb, index.mdb-lock, journal, steady */
	const char *identity; /* bucket_identity(): a cache made for another bucket is refused */
	bool read_only;       /* nothing is written, not even to recover: -EROFS where that is needed */
	const char *boot_id;  /* NULL = the running kernel's; tests pretend a reboot */
	bool expected;        /* there are blobs: an index that is not there is damage */
	unsigned check_ms;    /* it is looked through for so long (salvage_check), after a clean stop for less; 0 = not at all */
	uint64_t first_blob;  /* where a new index begins to count; 0 = at 1 */
};

enum index_start { INDEX_NEW, INDEX_CLEAN, INDEX_KILLED, INDEX_POWER_CUT };

/* Before it the caller makes every blob durable (blobs_sync_all): the state found becomes the first checkpoint.
 *
 * Creates, or opens and recovers: after a killed process (same boot) the newest state as it is; after a
 * power cut (other boot id, no clean mark) the last checkpoint's state. *why gets plain words on an error:
 *   -EPROTO a newer format (never touched), -EMEDIUMTYPE made for another bucket, -EUCLEAN damaged or no
 *   usable steady file (cache/rescue.h goes on from there), -EACCES, -ENOSPC, -EIO …
 * A new index has the root node: mode 0755, owner 0, not complete. After a power cut numbers go on behind a gap,
 * so that not even those of the lost second are given again. */
int index_open(const struct index_config *config, struct index **out, enum index_start *start,
	       struct buf *why) MUST_CHECK;
/* After a last checkpoint by the caller with nothing changed since (else -EBUSY): marks the index clean. Write
 * transactions are refused from then on (-EROFS). */
int index_mark_clean(struct index *index) MUST_CHECK;
void index_close(struct index **index);
/* A closed index: from now on index_open says -EUCLEAN, until it was put aside (cache/rescue.h). */
int index_condemn(const char *folder) MUST_CHECK;
/* Removes the files of a closed index in which nothing was ever recorded. */
int index_remove(const char *folder) MUST_CHECK;

/* -- transactions -- */
/* Reads: all that was acknowledged before is seen. -EAGAIN: 512 at a time are open.
 *   read  a snapshot, for as long as one likes. Where changes were made just now it first has them written to
 *         index.mdb: some 100 us, and the error if that fails.
 *   look  a few records, at once. It may hold the writer's lock: until its end no other transaction is begun, no
 *         lock taken but leaf ones, nothing waited for. */
int txn_begin_read(struct index *index, struct txn **out) MUST_CHECK;
int txn_begin_look(struct index *index, struct txn **out) MUST_CHECK;
int txn_begin_write(struct index *index, struct txn **out) MUST_CHECK;
/* Ends the transaction in every case, also where it fails: an error (other than -ENOENT, -EEXIST, -ENODATA and
 * a refused argument) in a write transaction spoils it, and its commit aborts and returns that error. Sets *txn to NULL.
 * A read transaction is committed or aborted alike. */
int txn_commit(struct txn **txn) MUST_CHECK;
void txn_abort(struct txn **txn); /* *txn may be NULL */
#define AUTO_ABORT __attribute__((cleanup(txn_abort)))
/* Ascending; that of a write transaction is the one it will have. Transactions that were committed within some
 * milliseconds may share one: a checkpoint covers all of them or none. */
uint64_t txn_id(const struct txn *txn);
bool txn_writes(const struct txn *txn);

/* -- numbers that are never given twice, persistent -- */
uint64_t txn_new_ino(struct txn *txn);  /* > INO_ROOT */
uint64_t txn_new_blob(struct txn *txn); /* > 0 */
/* The first number that was not given to a blob yet, nor reserved. */
int index_blob_end(struct txn *txn, uint64_t *out) MUST_CHECK;
/* A number for a new blob outside a transaction (reserves a batch ahead in its own transaction). */
int index_new_blob(struct index *index, uint64_t *out) MUST_CHECK;

/* -- small named values (survey position, …) -- */
enum { META_NAME_BYTES_MAX = 32, META_VALUE_BYTES_MAX = 2048 };
int meta_get(struct txn *txn, const char *name, struct buf *out) MUST_CHECK; /* -ENOENT */
int meta_put(struct txn *txn, const char *name, const void *bytes, size_t length) MUST_CHECK;
int meta_delete(struct txn *txn, const char *name) MUST_CHECK;
/* The names that begin with prefix, in order. visit: 0 = go on, 1 = stop, -errno = fail; it must not change them. */
typedef int meta_visit(void *arg, const char *name);
int meta_each(struct txn *txn, const char *prefix, meta_visit *visit, void *arg) MUST_CHECK;

/* -- totals, kept by nodes_put/nodes_delete in the same transaction -- */
struct index_totals {
	uint64_t files, folders, symlinks;
	uint64_t bytes;   /* sizes of files and symlinks */
	uint64_t pending; /* entries */
};
int index_totals(struct txn *txn, struct index_totals *out) MUST_CHECK;

/* -- checkpoints: one at a time; the caller serialises --
 * begin: under the writer's lock pins a snapshot and copies the meta pages. Then the caller makes every blob
 * durable that the snapshot names, and commit makes index.mdb durable, writes steady and releases the
 * snapshot pinned by the checkpoint before. commit and abort end it in every case. -ENOSPC can be tried again;
 * once the disk has failed to make something durable, every further checkpoint is -EIO. */
struct index_checkpoint;
int index_checkpoint_begin(struct index *index, struct index_checkpoint **out) MUST_CHECK;
uint64_t index_checkpoint_txn(const struct index_checkpoint *checkpoint);
int index_checkpoint_commit(struct index_checkpoint **checkpoint) MUST_CHECK;
void index_checkpoint_abort(struct index_checkpoint **checkpoint);
/* Transaction ids; atomic reads: last committed; pinned by the last begun checkpoint (that of
 * covered again when it failed); made durable. */
uint64_t index_newest(const struct index *index);
uint64_t index_pinned(const struct index *index);
uint64_t index_covered(const struct index *index);
/* How many write transactions changed something since the index was opened. */
uint64_t index_changes(const struct index *index);
/* By how much index.mdb grew since the last checkpoint began. None of the pages that a commit makes superfluous is
 * used again before the next checkpoint: above some tens of MiB one is due early. */
uint64_t index_growth_bytes(const struct index *index);
/* The disk is full, and of the room that index.mdb has ahead half is used: that is for changes which make room. Who
 * would only add names or attributes is to be refused. Takes the writer's lock where it is so. */
bool index_tight(struct index *index);

#endif
