/* Multipart uploads under way, by the number of the blob that they send. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "internal.h"
#include "pending.h"

int uploads_put(struct txn *txn, const struct upload_record *record)
{
	uint8_t bytes[RECORD_UPLOAD_BYTES_MAX];
	assert(txn->writes && record_upload_valid(record));
	struct bytes value = {bytes, record_upload_encode(bytes, record)};
	return dbi_put(txn, DBI_UPLOADS, dbi_key(&record->blob), value);
}

int uploads_delete(struct txn *txn, uint64_t blob)
{
	return dbi_delete(txn, DBI_UPLOADS, dbi_key(&blob));
}

int uploads_each(struct txn *txn, upload_record_visit *visit, void *arg)
{
	struct upload_record record;
	struct bytes key, value;
	uint64_t blob = 0;
	int rc;
	while ((rc = dbi_seek(txn, DBI_UPLOADS, dbi_key(&blob), true, &key, &value)) == 0) {
		if (key.length != sizeof(blob))
			return dbi_damaged(DBI_UPLOADS, key);
		memcpy(&blob, key.at, sizeof(blob));
		if (record_upload_decode(&record, blob, value.at, value.length) != 0)
			return dbi_damaged(DBI_UPLOADS, key);
		rc = visit(arg, &record);
		if (rc != 0)
			return rc > 0 ? 0 : rc;
	}
	return rc == -ENOENT ? 0 : rc;
}
