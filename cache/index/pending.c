/* One record a key: what the bucket is to have there. The stored form of a key is record.c's; a
 * long key is found by its digest, and two that share it are told apart by the whole key in the
 * record. */
#include "pending.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include "cache/base/log.h"
#include "internal.h"

struct place {
	uint8_t bytes[RECORD_KEY_BYTES_MAX];
};

static struct bytes stored(struct place *place, const char *key)
{
	return (struct bytes){place->bytes, record_pending_key(place->bytes, key)};
}

static int decode(struct bytes key, struct bytes value, struct pending_record *out)
{
	if (record_pending_decode(out, key.at, key.length, value.at, value.length) != 0)
		return dbi_damaged(DBI_PENDING, key);
	return 0;
}

int pending_get(struct txn *txn, const char *key, struct pending_record *out)
{
	struct place place;
	struct bytes place_key = stored(&place, key), value;
	int rc = dbi_get(txn, DBI_PENDING, place_key, &value);
	if (rc == 0)
		rc = decode(place_key, value, out);
	if (rc == 0 && strcmp(out->key, key) != 0) {
		log_error("index: two keys have one digest key=%s other=%s", key, out->key);
		return -EIO;
	}
	return rc;
}

int pending_put(struct txn *txn, struct pending_record *record)
{
	struct pending_record old;
	struct place place;
	uint8_t bytes[RECORD_PENDING_BYTES_MAX];

	assert(txn->writes && record_pending_valid(record));
	int rc = pending_get(txn, record->key, &old);
	if (rc != 0 && rc != -ENOENT)
		return rc;
	record->txn = txn_id(txn);
	struct bytes value = {bytes, record_pending_encode(bytes, record)};
	if (rc == 0)
		return dbi_put(txn, DBI_PENDING, stored(&place, record->key), value);
	rc = dbi_insert(txn, DBI_PENDING, stored(&place, record->key), value);
	if (rc == 0)
		txn_counters_edit(txn)->pending++;
	return rc;
}

int pending_delete(struct txn *txn, const char *key)
{
	struct pending_record old;
	struct place place;
	int rc = pending_get(txn, key, &old);
	if (rc == 0)
		rc = dbi_delete(txn, DBI_PENDING, stored(&place, key));
	if (rc == 0)
		counter_move(&txn_counters_edit(txn)->pending, 1, 0);
	return rc;
}

int pending_next(struct txn *txn, const char *after, struct pending_record *out)
{
	struct place place;
	struct bytes from = {NULL, 0}, key, value;
	if (after && after[0])
		from = stored(&place, after);
	int rc = dbi_seek(txn, DBI_PENDING, from, true, &key, &value);
	return rc == 0 ? decode(key, value, out) : rc;
}

int pending_count(struct txn *txn, uint64_t *out)
{
	struct index_totals totals;
	int rc = index_totals(txn, &totals);
	if (rc == 0)
		*out = totals.pending;
	return rc;
}
