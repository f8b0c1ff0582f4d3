/* The process that reads a damaged index. It may die at any instruction that touches the map: what it said before counts.
 *
 * LMDB is asked to walk, and what it points to is looked at only where it lies in the file; keys must come in order, so that
 * a tree that leads in a circle ends. A record is announced before anything further is looked up for it, so that its reader
 * knows where to go on after a crash.
 *
 * PASS_CHECK also walks LMDB's list of free pages: a damaged one would make the next writer overwrite pages in use. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "salvage_internal.h"

enum { EXIT_BROKEN = 3, MEMORY_BYTES = 256 << 20, CPU_SECONDS_MIN = 20, BYTES_A_SECOND = 4 << 20 };
enum { ALIVE_EVERY = 1 << 16 };
enum { FREE_TABLE = 0 }; /* LMDB's own number of its list of free pages */

struct child {
	const struct salvage_task *task;
	MDB_env *env;
	MDB_txn *txn;
	const uint8_t *map; /* NULL = not known */
	size_t map_bytes, last_page;
};

/* -- limits -- */

static void limit(int what, rlim_t value)
{
	struct rlimit r = {value, value};
	if (setrlimit(what, &r) != 0)
		_exit(EXIT_BROKEN);
}

static rlim_t data_bytes(void)
{
	char text[256] = "";
	unsigned long pages = 0;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0 || sscanf(text, "%*u %*u %*u %*u %*u %lu", &pages) != 1)
		return RLIM_INFINITY;
	return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + MEMORY_BYTES;
}

static void confine(const struct salvage_task *task)
{
	static const int deadly[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU, SIGTERM,
				     SIGINT};
	struct stat st;
	sigset_t none;
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		signal(deadly[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() == 1)
		_exit(EXIT_BROKEN);
	if (task->out > 3)
		close_range(3, (unsigned)task->out - 1, 0);
	close_range((unsigned)task->out + 1, ~0U, 0);
	limit(RLIMIT_CORE, 0);
	if (stat(task->path, &st) != 0)
		_exit(EXIT_BROKEN);
	limit(RLIMIT_CPU, CPU_SECONDS_MIN + (rlim_t)st.st_size / BYTES_A_SECOND);
	limit(RLIMIT_DATA, data_bytes());
}

static void give_up(MDB_env *env, const char *text)
{
	(void)env;
	(void)text;
	_exit(EXIT_BROKEN);
}

static int environment(struct child *c)
{
	const unsigned flags = MDB_RDONLY | MDB_NOLOCK | MDB_NOSUBDIR | MDB_NOTLS;
	MDB_envinfo info;
	struct stat st;
	void *map = NULL;
	int fd = -1, rc = mdb_env_create(&c->env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(c->env, DBI_COUNT);
	if (rc == 0)
		rc = mdb_env_set_assert(c->env, give_up);
	if (rc == 0)
		rc = mdb_env_open(c->env, c->task->path, flags, 0600);
	if (rc == 0)
		rc = mdb_env_info(c->env, &info);
	if (rc == 0)
		rc = mdb_env_get_fd(c->env, &fd);
	if (rc == 0 && fstat(fd, &st) != 0)
		rc = errno;
	if (rc != 0)
		return rc;
	map_find(fd, &map, &c->map_bytes);
	c->map = map;
	if (c->map_bytes > (size_t)st.st_size)
		c->map_bytes = (size_t)st.st_size;
	c->last_page = info.me_last_pgno;
	return mdb_txn_begin(c->env, NULL, MDB_RDONLY, &c->txn);
}

/* -- saying -- */

static void say_bytes(int fd, const void *bytes, size_t length)
{
	for (const char *at = bytes; length > 0;) {
		ssize_t n = write(fd, at, length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(EXIT_BROKEN);
		at += n;
		length -= (size_t)n;
	}
}

/* In one piece, so that a message is cut short only where the process is killed in the middle of it. */
static void say(const struct child *c, enum salvage_word word, MDB_val key, MDB_val value)
{
	uint8_t all[sizeof(struct salvage_head) + RECORD_KEY_BYTES_MAX + SALVAGE_VALUE_BYTES_MAX];
	struct salvage_head head = {word, (uint16_t)key.mv_size, (uint16_t)value.mv_size};
	uint8_t *at = all + sizeof(head);
	if (key.mv_size > RECORD_KEY_BYTES_MAX || value.mv_size > SALVAGE_VALUE_BYTES_MAX)
		_exit(EXIT_BROKEN);
	memcpy(all, &head, sizeof(head));
	memcpy(at, key.mv_data, key.mv_size);
	memcpy(at + key.mv_size, value.mv_data, value.mv_size);
	say_bytes(c->task->out, all, (size_t)(at - all) + key.mv_size + value.mv_size);
}

static MDB_val of_text(const char *text)
{
	return (MDB_val){strlen(text), (void *)(uintptr_t)text};
}

static const MDB_val nothing = {0, (void *)(uintptr_t) ""};

static bool in_file(const struct child *c, MDB_val v)
{
	const uint8_t *at = v.mv_data;
	return v.mv_size == 0 || !c->map ||
	       (at >= c->map && (size_t)(at - c->map) <= c->map_bytes &&
		v.mv_size <= c->map_bytes - (size_t)(at - c->map));
}

static bool fits(const struct child *c, MDB_val key, MDB_val value)
{
	return in_file(c, key) && in_file(c, value) && key.mv_size <= RECORD_KEY_BYTES_MAX &&
	       value.mv_size <= SALVAGE_VALUE_BYTES_MAX;
}

/* -- walking -- */

typedef void record_visit(struct child *c, MDB_val key, MDB_val value);

static int begin_walk(struct child *c, MDB_cursor *cursor, MDB_dbi dbi, MDB_val *key, MDB_val *value)
{
	const struct salvage_place *from = &c->task->from;
	bool back = c->task->backward;
	if (from->length == 0)
		return mdb_cursor_get(cursor, key, value, back ? MDB_LAST : MDB_FIRST);
	MDB_val start = {from->length, (void *)(uintptr_t)from->bytes};
	*key = start;
	int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
	if (back)
		return rc == 0 ? mdb_cursor_get(cursor, key, value, MDB_PREV)
			       : mdb_cursor_get(cursor, key, value, MDB_LAST);
	if (rc == 0 && in_file(c, *key) && mdb_cmp(c->txn, dbi, key, &start) == 0)
		rc = mdb_cursor_get(cursor, key, value, MDB_NEXT);
	return rc;
}

static bool in_order(struct child *c, MDB_dbi dbi, const MDB_val *before, const MDB_val *key)
{
	if (before->mv_size == 0)
		return true;
	int order = mdb_cmp(c->txn, dbi, before, key);
	return c->task->backward ? order > 0 : order < 0;
}

static bool at_bound(struct child *c, MDB_dbi dbi, const MDB_val *key)
{
	const struct salvage_place *until = &c->task->until;
	MDB_val bound = {until->length, (void *)(uintptr_t)until->bytes};
	return until->length > 0 && mdb_cmp(c->txn, dbi, key, &bound) <= 0;
}

/* MDB_NOTFOUND at the end; MDB_CORRUPTED where it goes no further. */
static int walk(struct child *c, MDB_dbi dbi, record_visit *visit)
{
	MDB_cursor *cursor;
	MDB_val key = nothing, value = nothing, before = {0, NULL};
	int rc = mdb_cursor_open(c->txn, dbi, &cursor);
	if (rc == 0)
		rc = begin_walk(c, cursor, dbi, &key, &value);
	while (rc == 0) {
		if (!in_file(c, key) || !in_file(c, value) || key.mv_size == 0 ||
		    !in_order(c, dbi, &before, &key))
			return MDB_CORRUPTED;
		if (at_bound(c, dbi, &key))
			return MDB_NOTFOUND;
		visit(c, key, value);
		before = key;
		rc = mdb_cursor_get(cursor, &key, &value, c->task->backward ? MDB_PREV : MDB_NEXT);
	}
	return rc;
}

static int walk_table(struct child *c, enum dbi table, record_visit *visit)
{
	MDB_dbi dbi;
	int rc = dbi_open(c->txn, table, 0, &dbi);
	return rc == 0 ? walk(c, dbi, visit) : rc == MDB_NOTFOUND ? MDB_CORRUPTED : rc;
}

/* -- passes of a rescue -- */

static bool node_value(struct child *c, uint64_t ino, MDB_val *value)
{
	MDB_dbi dbi;
	MDB_val key = {sizeof(ino), &ino};
	return dbi_open(c->txn, DBI_NODES, 0, &dbi) == 0 &&
	       mdb_get(c->txn, dbi, &key, value) == 0 && in_file(c, *value) &&
	       value->mv_size <= RECORD_NODE_BYTES_MAX;
}

static void say_record(struct child *c, MDB_val key, MDB_val value)
{
	if (!fits(c, key, value))
		say(c, SAY_DAMAGED, nothing, nothing);
	else
		say(c, SAY_RECORD, key, value);
}

static void visit_wish(struct child *c, MDB_val key, MDB_val value)
{
	struct pending_record wish;
	MDB_val node;
	say_record(c, key, value);
	if (!fits(c, key, value) ||
	    record_pending_decode(&wish, key.mv_data, key.mv_size, value.mv_data, value.mv_size) != 0)
		return;
	if (wish.want == PENDING_PUT && node_value(c, wish.ino, &node))
		say(c, SAY_NODE, (MDB_val){sizeof(wish.ino), &wish.ino}, node);
}

/* Up to the root; a circle ends where the key is full. */
static void say_path(struct child *c, const struct node_record *node)
{
	char path[KEY_BYTES_MAX];
	size_t start = sizeof(path);
	struct record_node_head head = {
	    .parent = node->parent, .name = node->name, .name_bytes = strlen(node->name)};
	MDB_val value;
	for (uint64_t ino = node->ino; ino != INO_ROOT; ino = head.parent) {
		if (ino != node->ino &&
		    (!node_value(c, ino, &value) ||
		     record_node_head(&head, ino, value.mv_data, value.mv_size) != 0))
			return;
		size_t slash = start < sizeof(path) ? 1 : 0;
		if (head.name_bytes == 0 || start < head.name_bytes + slash)
			return;
		if (slash)
			path[--start] = '/';
		start -= head.name_bytes;
		memcpy(path + start, head.name, head.name_bytes);
	}
	say(c, SAY_PATH, nothing, (MDB_val){sizeof(path) - start, path + start});
}

static void visit_node(struct child *c, MDB_val key, MDB_val value)
{
	static unsigned seen;
	struct node_record node;
	uint64_t ino;
	if (++seen % ALIVE_EVERY == 0)
		say(c, SAY_ALIVE, nothing, nothing);
	if (!fits(c, key, value) || key.mv_size != sizeof(ino)) {
		say(c, SAY_DAMAGED, nothing, nothing);
		return;
	}
	memcpy(&ino, key.mv_data, sizeof(ino));
	if (record_node_decode(&node, ino, value.mv_data, value.mv_size) != 0) {
		say(c, SAY_DAMAGED, key, nothing);
		return;
	}
	if (S_ISDIR(node.mode) || (node.blob == 0 && node.content != CONTENT_DIRTY))
		return;
	say(c, SAY_RECORD, key, value);
	if (node.content == CONTENT_DIRTY && !(node.flags & NODE_ORPHAN))
		say_path(c, &node);
}

/* Not the other tables, which stand there too. */
static int pass_main(struct child *c)
{
	static const char *const names[] = {"format", "identity", "counters"};
	MDB_dbi dbi;
	int rc = dbi_open(c->txn, DBI_MAIN, 0, &dbi);
	for (size_t i = 0; rc == 0 && i < sizeof(names) / sizeof(names[0]); i++) {
		MDB_val key = of_text(names[i]), value;
		if (mdb_get(c->txn, dbi, &key, &value) == 0 && in_file(c, value) &&
		    value.mv_size <= SALVAGE_VALUE_BYTES_MAX)
			say(c, SAY_RECORD, of_text(names[i]), value);
	}
	return rc == 0 ? MDB_NOTFOUND : rc;
}

/* -- the check -- */

_Noreturn static void found(struct child *c, const char *what, const char *table)
{
	char text[128];
	snprintf(text, sizeof(text), "%s (table %s)", what, table);
	say(c, SAY_DAMAGED, nothing, of_text(text));
	_exit(0);
}

static void check_free(struct child *c, MDB_val key, MDB_val value)
{
	size_t count = 0, pages[2] = {0, 0};
	const char *at = value.mv_data;
	bool bad = key.mv_size != sizeof(size_t) || value.mv_size < sizeof(count) ||
		   value.mv_size % sizeof(count) != 0;
	if (!bad) {
		memcpy(&count, at, sizeof(count));
		bad = count > value.mv_size / sizeof(count) - 1; /* fewer where it reserved more than it needed */
	}
	for (size_t i = 1; !bad && i <= count; i++) { /* from the last page down */
		memcpy(&pages[i & 1], at + i * sizeof(count), sizeof(count));
		bad = pages[i & 1] < 2 || pages[i & 1] > c->last_page ||
		      (i > 1 && pages[i & 1] >= pages[!(i & 1)]);
	}
	if (bad)
		found(c, "the list of free pages is damaged", "free");
}

static bool record_good(enum dbi table, MDB_val k, MDB_val v)
{
	/* Too large for the stack frame of a walk, and there is one walk a process. */
	static struct node_record node;
	static struct pending_record wish;
	static struct upload_record upload;
	struct name name;
	uint64_t number = 0;
	if (k.mv_size == sizeof(number))
		memcpy(&number, k.mv_data, sizeof(number));
	switch (table) {
	case DBI_NODES:
		return number && !record_node_decode(&node, number, v.mv_data, v.mv_size);
	case DBI_NAMES:
		return !record_name_key_decode(&name, k.mv_data, k.mv_size) &&
		       !record_name_decode(&name, v.mv_data, v.mv_size);
	case DBI_PENDING:
		return !record_pending_decode(&wish, k.mv_data, k.mv_size, v.mv_data, v.mv_size);
	case DBI_UPLOADS:
		return number && !record_upload_decode(&upload, number, v.mv_data, v.mv_size);
	case DBI_AGES:
		return k.mv_size == sizeof(number) &&
		       !record_number_decode(&number, v.mv_data, v.mv_size);
	case DBI_AGE_ORDER:
		return k.mv_size == 16 && !record_number_decode(&number, v.mv_data, v.mv_size);
	case DBI_ORPHANS:
		return number != 0;
	case DBI_LINKS:
	case DBI_XATTRS:
		return k.mv_size > 8;
	default:
		return true;
	}
}

static enum dbi checked; /* the table of the walk under way */

static void check_record(struct child *c, MDB_val key, MDB_val value)
{
	if (!record_good(checked, key, value))
		found(c, "a record cannot be decoded", dbi_name(checked));
}

/* The small tables first, in case that time runs out. */
static int pass_check(struct child *c)
{
	static const enum dbi order[] = {DBI_MAIN,  DBI_META,	   DBI_PENDING, DBI_UPLOADS,
					 DBI_ORPHANS, DBI_LINKS,   DBI_AGE_ORDER, DBI_NODES,
					 DBI_NAMES, DBI_AGES,	   DBI_XATTRS};
	if (walk(c, FREE_TABLE, check_free) != MDB_NOTFOUND)
		found(c, "the tree is broken", "free");
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		checked = order[i];
		if (walk_table(c, checked, check_record) != MDB_NOTFOUND)
			found(c, "the tree is broken or missing", dbi_name(checked));
	}
	return MDB_NOTFOUND;
}

static int pass(struct child *c)
{
	switch (c->task->pass) {
	case PASS_MAIN:
		return pass_main(c);
	case PASS_WISHES:
		return walk_table(c, DBI_PENDING, visit_wish);
	case PASS_NODES:
		return walk_table(c, DBI_NODES, visit_node);
	case PASS_UPLOADS:
		return walk_table(c, DBI_UPLOADS, say_record);
	case PASS_CHECK:
		return pass_check(c);
	}
	return MDB_CORRUPTED;
}

void salvage_child(const struct salvage_task *task)
{
	struct child c = {.task = task};
	confine(task);
	int rc = environment(&c);
	if (rc == 0)
		rc = pass(&c);
	if (rc == MDB_NOTFOUND)
		say(&c, SAY_END, nothing, nothing);
	_exit(rc == MDB_NOTFOUND ? 0 : EXIT_BROKEN);
}
