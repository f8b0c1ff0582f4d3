/* The node records, and the keys that follow from them.
 *
 * A key is found by walking up: each node has its parent and its primary name. Every step adds at
 * least two bytes, and a key has at most KEY_BYTES_MAX: a loop of parents, which only damage can
 * make, ends there. */
#include "nodes.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "ages.h"
#include "internal.h"

int nodes_get(struct txn *txn, uint64_t ino, struct node_record *out)
{
	struct bytes found;
	int rc = dbi_get(txn, DBI_NODES, dbi_key(&ino), &found);
	if (rc == 0 && record_node_decode(out, ino, found.at, found.length) != 0)
		return dbi_damaged(DBI_NODES, dbi_key(&ino));
	return rc;
}

static int get_head(struct txn *txn, uint64_t ino, struct record_node_head *out)
{
	struct bytes found;
	int rc = dbi_get(txn, DBI_NODES, dbi_key(&ino), &found);
	if (rc == 0 && record_node_head(out, ino, found.at, found.length) != 0)
		return dbi_damaged(DBI_NODES, dbi_key(&ino));
	return rc;
}

static void count(struct txn *txn, uint32_t type, uint64_t size, bool on)
{
	struct counters *c = txn_counters_edit(txn);
	uint64_t *nodes = S_ISDIR(type) ? &c->folders : S_ISREG(type) ? &c->files : &c->symlinks;
	counter_move(nodes, !on, on);
	counter_move(&c->bytes, on ? 0 : size, on ? size : 0);
}

int nodes_put(struct txn *txn, const struct node_record *record)
{
	uint8_t bytes[RECORD_NODE_BYTES_MAX];
	struct record_node_head old;

	assert(txn->writes && record_node_valid(record));
	struct bytes key = dbi_key(&record->ino);
	struct bytes value = {bytes, record_node_encode(bytes, record)};
	int rc = get_head(txn, record->ino, &old);
	if (rc != 0 && rc != -ENOENT)
		return rc;
	bool is_new = rc == -ENOENT;
	bool counts = is_new || old.type != (record->mode & S_IFMT) || old.size != record->size;
	if (counts && !is_new)
		count(txn, old.type, old.size, false);
	if (counts)
		count(txn, record->mode & S_IFMT, record->size, true);
	return is_new ? dbi_insert(txn, DBI_NODES, key, value)
		      : dbi_put(txn, DBI_NODES, key, value);
}

/* Every record of a table whose key starts with the ino. */
static int delete_all(struct txn *txn, enum dbi dbi, uint64_t ino)
{
	uint8_t prefix[8], at[RECORD_KEY_BYTES_MAX];
	struct bytes key, value;
	int rc;
	record_be64(prefix, ino);
	while ((rc = dbi_seek(txn, dbi, (struct bytes){prefix, 8}, false, &key, &value)) == 0) {
		if (key.length < 8 || key.length > sizeof(at) || memcmp(key.at, prefix, 8) != 0)
			return 0;
		memcpy(at, key.at, key.length);
		rc = dbi_delete(txn, dbi, (struct bytes){at, key.length});
		if (rc != 0)
			return rc;
	}
	return rc == -ENOENT ? 0 : rc;
}

int nodes_delete(struct txn *txn, uint64_t ino)
{
	struct record_node_head old;
	assert(txn->writes && ino != INO_ROOT);
	int rc = get_head(txn, ino, &old);
	if (rc != 0)
		return rc;
	count(txn, old.type, old.size, false);
	rc = dbi_delete(txn, DBI_NODES, dbi_key(&ino));
	if (rc == 0)
		rc = ages_delete(txn, ino);
	if (rc == 0)
		rc = delete_all(txn, DBI_XATTRS, ino);
	if (rc == 0)
		rc = delete_all(txn, DBI_LINKS, ino);
	if (rc == 0)
		rc = dbi_delete(txn, DBI_ORPHANS, dbi_key(&ino));
	return rc == -ENOENT ? 0 : rc;
}

/* -- keys -- */

/* Puts a name before what is at *start of out; a '/' between the two. */
static int prepend(char out[KEY_BYTES_MAX + 1], size_t *start, const char *name, size_t name_bytes)
{
	size_t slash = *start < KEY_BYTES_MAX ? 1 : 0;
	if (*start < name_bytes + slash)
		return -ENAMETOOLONG;
	if (slash)
		out[--*start] = '/';
	*start -= name_bytes;
	memcpy(out + *start, name, name_bytes);
	return 0;
}

/* out has the end of the key from start on, whose parent is ino. */
static int walk_up(struct txn *txn, uint64_t ino, char out[KEY_BYTES_MAX + 1], size_t start)
{
	struct record_node_head head;
	while (ino != INO_ROOT) {
		int rc = get_head(txn, ino, &head);
		if (rc != 0)
			return rc;
		if (head.name_bytes == 0)
			return -ENOENT;
		rc = prepend(out, &start, head.name, head.name_bytes);
		if (rc != 0)
			return rc;
		ino = head.parent;
	}
	out[KEY_BYTES_MAX] = '\0';
	memmove(out, out + start, KEY_BYTES_MAX + 1 - start);
	return 0;
}

int nodes_key(struct txn *txn, uint64_t ino, char out[KEY_BYTES_MAX + 1])
{
	return walk_up(txn, ino, out, KEY_BYTES_MAX);
}

int nodes_key_of_name(struct txn *txn, uint64_t parent, const char *name,
		      char out[KEY_BYTES_MAX + 1])
{
	size_t start = KEY_BYTES_MAX, length = strlen(name);
	int rc = name_check(name, length);
	if (rc == 0)
		rc = prepend(out, &start, name, length);
	return rc == 0 ? walk_up(txn, parent, out, start) : rc;
}

/* -- orphans -- */

int orphans_add(struct txn *txn, uint64_t ino)
{
	return dbi_put(txn, DBI_ORPHANS, dbi_key(&ino), (struct bytes){"", 0});
}

int orphans_each(struct txn *txn, ino_visit *visit, void *arg)
{
	struct bytes key, value;
	uint64_t ino = 0;
	int rc;
	while ((rc = dbi_seek(txn, DBI_ORPHANS, dbi_key(&ino), true, &key, &value)) == 0) {
		if (key.length != sizeof(ino))
			return dbi_damaged(DBI_ORPHANS, key);
		memcpy(&ino, key.at, sizeof(ino));
		rc = visit(arg, ino);
		if (rc != 0)
			return rc > 0 ? 0 : rc;
	}
	return rc == -ENOENT ? 0 : rc;
}
