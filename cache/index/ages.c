/* Two tables that mirror each other: ages (ino → stamp) finds a node's place, age_order (stamp, ino
 * → bytes) has the order and the bytes. The sum of bytes is one of the counters. */
#include "ages.h"

#include <assert.h>
#include <errno.h>
#include "internal.h"

enum { PLACE_BYTES = 16 };

static struct bytes place_key(uint8_t out[PLACE_BYTES], uint64_t stamp, uint64_t ino)
{
	record_be64(out, stamp);
	record_be64(out + 8, ino);
	return (struct bytes){out, PLACE_BYTES};
}

int ages_get(struct txn *txn, uint64_t ino, uint64_t *stamp, uint64_t *bytes)
{
	uint8_t place[PLACE_BYTES];
	struct bytes found;
	int rc = dbi_get(txn, DBI_AGES, dbi_key(&ino), &found);
	if (rc != 0)
		return rc;
	if (record_number_decode(stamp, found.at, found.length) != 0)
		return dbi_damaged(DBI_AGES, dbi_key(&ino));
	struct bytes key = place_key(place, *stamp, ino);
	rc = dbi_get(txn, DBI_AGE_ORDER, key, &found);
	if (rc == -ENOENT || (rc == 0 && record_number_decode(bytes, found.at, found.length) != 0))
		return dbi_damaged(DBI_AGE_ORDER, key);
	return rc;
}

int ages_delete(struct txn *txn, uint64_t ino)
{
	uint8_t place[PLACE_BYTES];
	uint64_t stamp, bytes;
	assert(txn->writes);
	int rc = ages_get(txn, ino, &stamp, &bytes);
	if (rc != 0)
		return rc == -ENOENT ? 0 : rc;
	rc = dbi_delete(txn, DBI_AGE_ORDER, place_key(place, stamp, ino));
	if (rc == 0)
		rc = dbi_delete(txn, DBI_AGES, dbi_key(&ino));
	if (rc == 0)
		counter_move(&txn_counters_edit(txn)->held, bytes, 0);
	return rc;
}

int ages_touch(struct txn *txn, uint64_t ino, uint64_t stamp, uint64_t bytes)
{
	uint8_t place[PLACE_BYTES], number[10];
	int rc = ages_delete(txn, ino);
	if (rc != 0)
		return rc;
	rc = dbi_insert(txn, DBI_AGES, dbi_key(&ino),
			(struct bytes){number, record_number_encode(number, stamp)});
	if (rc == 0)
		rc = dbi_insert(txn, DBI_AGE_ORDER, place_key(place, stamp, ino),
				(struct bytes){number, record_number_encode(number, bytes)});
	if (rc == 0)
		counter_move(&txn_counters_edit(txn)->held, 0, bytes);
	return rc;
}

static int visit_one(struct bytes key, struct bytes value, age_visit *visit, void *arg)
{
	const uint8_t *at = key.at;
	uint64_t bytes;
	if (key.length != PLACE_BYTES || record_number_decode(&bytes, value.at, value.length) != 0)
		return dbi_damaged(DBI_AGE_ORDER, key);
	return visit(arg, record_be64_decode(at + 8), record_be64_decode(at), bytes);
}

int ages_each(struct txn *txn, age_visit *visit, void *arg)
{
	struct dbi_walk walk;
	struct bytes key, value;
	int rc = dbi_walk_start(txn, DBI_AGE_ORDER, (struct bytes){NULL, 0}, &walk);
	if (rc != 0)
		return rc;
	while ((rc = dbi_walk_next(&walk, &key, &value)) == 1) {
		rc = visit_one(key, value, visit, arg);
		if (rc != 0)
			break;
	}
	dbi_walk_end(&walk);
	return rc > 0 ? 0 : rc;
}

int ages_total(struct txn *txn, uint64_t *bytes)
{
	struct counters c = txn->counters;
	int rc = txn->writes ? 0 : txn_counters(txn, &c);
	if (rc == 0)
		*bytes = c.held;
	return rc;
}
