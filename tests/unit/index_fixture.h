/* What the tests of the index share: a folder of their own, an index in it, nodes with names. */
#ifndef TOOTFS_TESTS_INDEX_FIXTURE_H
#define TOOTFS_TESTS_INDEX_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "cache/index/names.h"
#include "cache/index/nodes.h"

struct fixture {
	char folder[64];
	struct index *index;
	enum index_start start;
	struct buf why;
};

static uint64_t fixture_seed = 1;

static inline uint64_t draw(uint64_t below)
{
	fixture_seed = fixture_seed * 6364136223846793005u + 1442695040888963407u;
	return (fixture_seed >> 33) % below;
}

/* In memory where that is possible: the tests sync a lot. */
static inline void fixture_folder(char out[64])
{
	snprintf(out, 64, "%s/tootfs-test-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(out));
}

static inline void fixture_remove(const char *folder)
{
	char path[400];
	DIR *dir = opendir(folder);
	struct dirent *entry;
	while (dir && (entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(path);
	}
	if (dir)
		closedir(dir);
	rmdir(folder);
}

static inline int fixture_try(struct fixture *f, const char *boot_id, const char *identity,
			      bool read_only)
{
	struct index_config config = {
	    .folder = f->folder, .identity = identity, .read_only = read_only, .boot_id = boot_id};
	buf_clear(&f->why);
	return index_open(&config, &f->index, &f->start, &f->why);
}

static inline void fixture_open(struct fixture *f, const char *boot_id)
{
	int rc = fixture_try(f, boot_id, "file:///bucket", false);
	if (rc != 0)
		print_error("%s\n", buf_string(&f->why));
	assert_int_equal(rc, 0);
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	fixture_folder(f->folder);
	fixture_open(f, "boot-1");
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	index_close(&f->index);
	fixture_remove(f->folder);
	buf_destroy(&f->why);
	free(f);
	return 0;
}

static inline struct txn *must_read(struct index *index)
{
	struct txn *txn;
	assert_int_equal(txn_begin_read(index, &txn), 0);
	return txn;
}

static inline struct txn *must_write(struct index *index)
{
	struct txn *txn;
	assert_int_equal(txn_begin_write(index, &txn), 0);
	return txn;
}

static inline void must_checkpoint(struct index *index)
{
	struct index_checkpoint *checkpoint;
	assert_int_equal(index_checkpoint_begin(index, &checkpoint), 0);
	assert_int_equal(index_checkpoint_commit(&checkpoint), 0);
}

static inline struct node_record a_node(uint64_t ino, uint64_t parent, const char *name,
					uint32_t type)
{
	struct node_record r = {
	    .ino = ino,
	    .parent = parent,
	    .mode = type | (type == S_IFDIR ? 0755 : 0644),
	    .uid = 991,
	    .gid = 991,
	    .nlink = type == S_IFDIR ? 2 : 1,
	    .atime_ns = 1700000000123456789,
	    .mtime_ns = 1700000000123456789,
	    .ctime_ns = 1700000000123456789,
	    .version = type == S_IFDIR ? 0 : 1,
	};
	snprintf(r.name, sizeof(r.name), "%s", name);
	return r;
}

/* A node and its name in the writing transaction; its ino. */
static inline uint64_t must_make(struct txn *txn, uint64_t parent, const char *name, uint32_t type,
				 uint64_t size)
{
	uint64_t ino = txn_new_ino(txn);
	struct node_record r = a_node(ino, parent, name, type);
	r.size = size;
	assert_int_equal(nodes_put(txn, &r), 0);
	assert_int_equal(names_put(txn, parent, name, type == S_IFDIR, ino, 0), 0);
	return ino;
}

#endif
