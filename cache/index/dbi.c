/* The tables: one LMDB database each, plus LMDB's main one, whose page every commit rewrites anyway
 * and which therefore has the counters.
 *
 * A half-done change must not be committed: the first error of LMDB in a write transaction, other
 * than "not there" and "there already", is kept in txn->failed, and txn_commit then aborts and
 * returns it. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cache/base/hex.h"
#include "cache/base/log.h"
#include "internal.h"

static const struct {
	const char *name;
	unsigned flags;
} tables[DBI_COUNT] = {
    [DBI_MAIN] = {NULL, 0},
    [DBI_META] = {"meta", 0},
    [DBI_NODES] = {"nodes", MDB_INTEGERKEY},
    [DBI_NAMES] = {"names", 0},
    [DBI_PENDING] = {"pending", 0},
    [DBI_UPLOADS] = {"uploads", MDB_INTEGERKEY},
    [DBI_AGES] = {"ages", MDB_INTEGERKEY},
    [DBI_AGE_ORDER] = {"age_order", 0},
    [DBI_ORPHANS] = {"orphans", MDB_INTEGERKEY},
    [DBI_LINKS] = {"links", 0},
    [DBI_XATTRS] = {"xattrs", 0},
};

int dbi_errno(int rc)
{
	switch (rc) {
	case MDB_SUCCESS:
		return 0;
	case MDB_KEYEXIST:
		return -EEXIST;
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_MAP_FULL:
		return -ENOSPC;
	case MDB_TXN_FULL:
		return -E2BIG;
	case MDB_READERS_FULL:
		return -EAGAIN;
	case MDB_VERSION_MISMATCH:
		return -EPROTO;
	case MDB_PAGE_NOTFOUND:
	case MDB_CORRUPTED:
	case MDB_INVALID:
	case MDB_INCOMPATIBLE:
		return -EUCLEAN;
	case MDB_BAD_VALSIZE:
		return -EINVAL;
	case EAGAIN:
	case ENOENT:
	case EEXIST:
		return -EIO; /* from a file, where they must not mean what they mean of a record */
	default:
		return rc > 0 ? -rc : -EIO;
	}
}

/* As dbi_errno, and spoils a write transaction. */
static int spoil(struct txn *txn, int rc)
{
	int error = dbi_errno(rc);
	if (rc != MDB_SUCCESS && rc != MDB_NOTFOUND && rc != MDB_KEYEXIST && txn->writes &&
	    txn->failed == 0)
		txn->failed = error;
	if (error == -EUCLEAN)
		index_damaged(txn->index);
	return error;
}

static MDB_val in(struct bytes b)
{
	return (MDB_val){b.length, (void *)(uintptr_t)b.at};
}

static struct bytes out(MDB_val v)
{
	return (struct bytes){v.mv_data, v.mv_size};
}

int dbi_open(MDB_txn *mdb, enum dbi dbi, unsigned flags, MDB_dbi *opened)
{
	return mdb_dbi_open(mdb, tables[dbi].name, tables[dbi].flags | flags, opened);
}

const char *dbi_name(enum dbi dbi)
{
	return tables[dbi].name ? tables[dbi].name : "main";
}

int dbi_open_all(MDB_txn *mdb, MDB_dbi dbis[DBI_COUNT], bool create)
{
	for (enum dbi i = 0; i < DBI_COUNT; i++) {
		int rc = dbi_open(mdb, i, create && tables[i].name ? MDB_CREATE : 0, &dbis[i]);
		if (rc == MDB_NOTFOUND)
			return -EUCLEAN;
		if (rc != 0)
			return dbi_errno(rc);
	}
	return 0;
}

int dbi_get(struct txn *txn, enum dbi dbi, struct bytes key, struct bytes *found)
{
	MDB_val k = in(key), v;
	int rc = mdb_get(txn->mdb, txn->index->dbis[dbi], &k, &v);
	if (rc == 0)
		*found = out(v);
	return spoil(txn, rc);
}

static int put(struct txn *txn, enum dbi dbi, struct bytes key, struct bytes value, unsigned flags)
{
	assert(txn->writes);
	MDB_val k = in(key), v = in(value);
	struct buf *change = &txn->index->batch.change;
	size_t length = change->length;
	if (!txn->redoes)
		journal_note_put(change, dbi, key.at, key.length, value.at, value.length);
	int rc = mdb_put(txn->mdb, txn->index->dbis[dbi], &k, &v, flags);
	if (rc != 0)
		change->length = length;
	return rc;
}

int dbi_put(struct txn *txn, enum dbi dbi, struct bytes key, struct bytes value)
{
	return spoil(txn, put(txn, dbi, key, value, 0));
}

int dbi_insert(struct txn *txn, enum dbi dbi, struct bytes key, struct bytes value)
{
	int rc = put(txn, dbi, key, value, MDB_APPEND);
	if (rc == MDB_KEYEXIST)
		rc = put(txn, dbi, key, value, MDB_NOOVERWRITE);
	return spoil(txn, rc);
}

int dbi_delete(struct txn *txn, enum dbi dbi, struct bytes key)
{
	assert(txn->writes);
	MDB_val k = in(key);
	struct buf *change = &txn->index->batch.change;
	size_t length = change->length;
	if (!txn->redoes)
		journal_note_delete(change, dbi, key.at, key.length);
	int rc = mdb_del(txn->mdb, txn->index->dbis[dbi], &k, NULL);
	if (rc != 0)
		change->length = length;
	return spoil(txn, rc);
}

int dbi_seek(struct txn *txn, enum dbi dbi, struct bytes key, bool strictly, struct bytes *found,
	     struct bytes *value)
{
	MDB_cursor *cursor;
	MDB_val k = in(key), v;
	int rc = mdb_cursor_open(txn->mdb, txn->index->dbis[dbi], &cursor);
	if (rc != 0)
		return spoil(txn, rc);
	rc = mdb_cursor_get(cursor, &k, &v, key.length > 0 ? MDB_SET_RANGE : MDB_FIRST);
	if (rc == 0 && strictly && k.mv_size == key.length &&
	    memcmp(k.mv_data, key.at, key.length) == 0)
		rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	mdb_cursor_close(cursor);
	if (rc == 0) {
		*found = out(k);
		*value = out(v);
	}
	return spoil(txn, rc);
}

int dbi_walk_start(struct txn *txn, enum dbi dbi, struct bytes from, struct dbi_walk *walk)
{
	*walk = (struct dbi_walk){.txn = txn, .from = from};
	return spoil(txn, mdb_cursor_open(txn->mdb, txn->index->dbis[dbi], &walk->cursor));
}

int dbi_walk_next(struct dbi_walk *walk, struct bytes *key, struct bytes *value)
{
	MDB_val k = in(walk->from), v;
	MDB_cursor_op op = walk->started	   ? MDB_NEXT
			   : walk->from.length > 0 ? MDB_SET_RANGE
						   : MDB_FIRST;
	int rc = mdb_cursor_get(walk->cursor, &k, &v, op);
	walk->started = true;
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc != 0)
		return spoil(walk->txn, rc);
	*key = out(k);
	*value = out(v);
	return 1;
}

void dbi_walk_end(struct dbi_walk *walk)
{
	mdb_cursor_close(walk->cursor);
}

int dbi_damaged(enum dbi dbi, struct bytes key)
{
	enum { SHOWN_BYTES = 64 };
	const uint8_t *at = key.at;
	char text[2 * SHOWN_BYTES + 1] = "";
	if (tables[dbi].flags & MDB_INTEGERKEY && key.length == sizeof(uint64_t)) {
		uint64_t number;
		memcpy(&number, key.at, sizeof(number));
		snprintf(text, sizeof(text), "%" PRIu64, number);
	} else {
		hex_encode(text, at, key.length < SHOWN_BYTES ? key.length : SHOWN_BYTES);
	}
	log_error("index: a record cannot be decoded table=%s key=%s",
		  dbi_name(dbi), text);
	return -EUCLEAN;
}
