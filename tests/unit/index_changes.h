/* What the tests of checkpoints share: random changes, the whole content as one number, the book of
 * the pages. A failed requirement ends the process, since some of them are children of a test. */
#ifndef TOOTFS_TESTS_INDEX_CHANGES_H
#define TOOTFS_TESTS_INDEX_CHANGES_H

#include "index_fixture.h"
#include "cache/index/ages.h"
#include "cache/index/internal.h"
#include "cache/index/pending.h"

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* -- content -- */

static inline uint64_t mix(uint64_t hash, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ at[i]) * 1099511628211u;
	return (hash ^ length) * 1099511628211u;
}

/* Which transaction made a wish depends on how changes came together in batches. */
static bool content_without_txns;

static inline uint64_t mix_wish(uint64_t hash, struct bytes key, struct bytes value)
{
	uint8_t bytes[RECORD_PENDING_BYTES_MAX];
	struct pending_record record;
	REQUIRE(record_pending_decode(&record, key.at, key.length, value.at, value.length) == 0);
	record.txn = 0;
	return mix(hash, bytes, record_pending_encode(bytes, &record));
}

static inline uint64_t content_of(struct index *index)
{
	uint64_t hash = 14695981039346656037u;
	struct counters counters;
	struct txn *txn;
	REQUIRE(txn_begin_read(index, &txn) == 0);
	for (enum dbi dbi = DBI_META; dbi < DBI_COUNT; dbi++) {
		struct dbi_walk walk;
		struct bytes key, value;
		size_t count = 0;
		MDB_stat stat;
		REQUIRE(dbi_walk_start(txn, dbi, (struct bytes){NULL, 0}, &walk) == 0);
		int rc;
		for (; (rc = dbi_walk_next(&walk, &key, &value)) == 1; count++) {
			hash = mix(hash, key.at, key.length);
			hash = dbi == DBI_PENDING && content_without_txns ? mix_wish(hash, key, value)
									  : mix(hash, value.at, value.length);
		}
		REQUIRE(rc == 0);
		dbi_walk_end(&walk);
		REQUIRE(mdb_stat(txn->mdb, index->dbis[dbi], &stat) == 0 &&
			stat.ms_entries == count);
		hash = mix(hash, &count, sizeof(count));
	}
	REQUIRE(txn_counters(txn, &counters) == 0);
	counters.next_ino = counters.next_blob = 0; /* these go on behind a gap */
	hash = mix(hash, &counters, sizeof(counters));
	txn_abort(&txn);
	return hash;
}

/* Every page is used once, or free once. */
static inline void check_pages(struct index *index)
{
	MDB_envinfo info;
	MDB_stat stat;
	MDB_cursor *cursor;
	MDB_val key, value;
	struct txn *txn;
	size_t pages = 2;
	REQUIRE(txn_begin_read(index, &txn) == 0);
	for (int i = -1; i < DBI_COUNT; i++) {
		REQUIRE(mdb_stat(txn->mdb, i < 0 ? 0 : index->dbis[i], &stat) == 0);
		pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
	}
	REQUIRE(mdb_cursor_open(txn->mdb, 0, &cursor) == 0);
	while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
		pages += *(size_t *)value.mv_data;
	mdb_cursor_close(cursor);
	REQUIRE(mdb_env_info(index->env, &info) == 0);
	REQUIRE(pages == info.me_last_pgno + 1);
	txn_abort(&txn);
}

/* -- changes -- */

static uint64_t changes_ino; /* the highest that was given */

static inline void change_node(struct txn *txn, uint64_t ino)
{
	struct node_record r;
	int rc = nodes_get(txn, ino, &r);
	if (rc == -ENOENT) {
		char name[32];
		snprintf(name, sizeof(name), "name-%u", (unsigned)ino);
		r = a_node(ino, 1, name, S_IFREG);
		REQUIRE(names_put(txn, 1, name, false, ino, 0) == 0);
	} else if (draw(3) == 0) {
		REQUIRE(names_delete(txn, 1, r.name, false) == 0);
		REQUIRE(nodes_delete(txn, ino) == 0);
		return;
	}
	memset(r.home, 'h', draw(900));
	r.size = draw(100000);
	REQUIRE(nodes_put(txn, &r) == 0);
}

static inline void change_one(struct txn *txn)
{
	static const char value[5000] = "v";
	uint64_t ino = 2 + draw(90);
	struct pending_record wish = {.want = PENDING_PUT, .ino = ino, .version = draw(9)};
	switch (draw(6)) {
	case 0:
		snprintf(wish.key, sizeof(wish.key), "%0*u", (int)(1 + draw(700)), (unsigned)ino);
		REQUIRE(pending_put(txn, &wish) == 0);
		break;
	case 1:
		if (pending_next(txn, NULL, &wish) == 0)
			REQUIRE(pending_delete(txn, wish.key) == 0);
		break;
	case 2:
		REQUIRE(ages_touch(txn, ino, draw(1000), draw(5000)) == 0);
		break;
	case 3:
		REQUIRE(xattrs_put(txn, ino, "user.x", value, draw(sizeof(value))) == 0);
		break;
	default:
		change_node(txn, ino);
	}
}

static inline void change(struct index *index)
{
	struct txn *txn;
	REQUIRE(txn_begin_write(index, &txn) == 0);
	changes_ino = txn_new_ino(txn);
	for (uint64_t n = 1 + draw(6); n > 0; n--)
		change_one(txn);
	REQUIRE(txn_commit(&txn) == 0);
}

/* index.mdb has every change then. */
static inline void flush(struct index *index)
{
	struct txn *txn;
	REQUIRE(txn_begin_read(index, &txn) == 0);
	txn_abort(&txn);
}

#endif
