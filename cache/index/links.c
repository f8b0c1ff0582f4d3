/* Further names of a node: the key is the ino, the parent and the name; there is no value. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "internal.h"
#include "nodes.h"

struct place {
	uint8_t bytes[8 + RECORD_NAME_KEY_BYTES_MAX];
};

static int link_key(struct place *place, uint64_t ino, uint64_t parent, const char *name,
		    struct bytes *out)
{
	size_t length = strlen(name);
	int rc = name_check(name, length);
	if (rc != 0)
		return rc;
	record_be64(place->bytes, ino);
	*out = (struct bytes){place->bytes,
			      8 + record_name_key(place->bytes + 8, parent, name, length, false)};
	return 0;
}

int links_add(struct txn *txn, uint64_t ino, uint64_t parent, const char *name)
{
	struct place place;
	struct bytes key;
	int rc = link_key(&place, ino, parent, name, &key);
	return rc == 0 ? dbi_put(txn, DBI_LINKS, key, (struct bytes){"", 0}) : rc;
}

int links_delete(struct txn *txn, uint64_t ino, uint64_t parent, const char *name)
{
	struct place place;
	struct bytes key;
	int rc = link_key(&place, ino, parent, name, &key);
	return rc == 0 ? dbi_delete(txn, DBI_LINKS, key) : rc;
}

int links_each(struct txn *txn, uint64_t ino, link_visit *visit, void *arg)
{
	struct place place;
	struct name name;
	struct bytes from = {place.bytes, 8}, key, value;
	int rc;
	record_be64(place.bytes, ino);
	while ((rc = dbi_seek(txn, DBI_LINKS, from, true, &key, &value)) == 0) {
		if (key.length < 8 || memcmp(key.at, place.bytes, 8) != 0)
			return 0;
		const uint8_t *at = key.at;
		if (record_name_key_decode(&name, at + 8, key.length - 8) != 0 || name.folder)
			return dbi_damaged(DBI_LINKS, key);
		memcpy(place.bytes, key.at, key.length);
		from.length = key.length;
		rc = visit(arg, record_be64_decode(place.bytes + 8), name.text);
		if (rc != 0)
			return rc > 0 ? 0 : rc;
	}
	return rc == -ENOENT ? 0 : rc;
}
