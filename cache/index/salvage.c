/* The parent's side of a salvage: one process for each walk, in this order:
 *
 *     main       format, identity, counters
 *     wishes     each with its node, looked up by number
 *     nodes      those with a blob or with unsent content, with the path of the latter
 *     uploads
 *
 * A table is walked forward. Where the process dies after it has said a record, another one goes on behind that record; where
 * it gets no further, the table is walked from its end backward to that place. So one bad page costs what is on it, two cost
 * what is between them. */
#include "salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "cache/base/clock.h"
#include "salvage_internal.h"

enum { SILENCE_MS = 30 * 1000, RESTARTS_MAX = 64, CHECK_MS = 10 * 1000 };

/* -- one process -- */

struct reader {
	pid_t pid;
	int fd;
	int64_t deadline_ms; /* 0 = as long as it says something */
	bool late;
	uint8_t bytes[1 << 16];
	size_t start, end;
};

struct message {
	struct salvage_head head;
	uint8_t key[RECORD_KEY_BYTES_MAX];
	uint8_t value[SALVAGE_VALUE_BYTES_MAX];
};

static int reader_start(struct reader *r, const struct salvage_task *task)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) != 0)
		return -errno;
	r->pid = fork();
	if (r->pid < 0) {
		int rc = -errno;
		close(fds[0]);
		close(fds[1]);
		return rc;
	}
	if (r->pid == 0) {
		struct salvage_task mine = *task;
		mine.out = fds[1];
		salvage_child(&mine);
	}
	close(fds[1]);
	r->fd = fds[0];
	r->start = r->end = 0;
	return 0;
}

static void reader_end(struct reader *r)
{
	close(r->fd);
	kill(r->pid, SIGKILL);
	while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static bool is_readable(struct reader *r)
{
	struct pollfd p = {.fd = r->fd, .events = POLLIN};
	int64_t until_ms = r->deadline_ms ? r->deadline_ms : clock_ms() + SILENCE_MS;
	int n;
	do {
		int64_t left_ms = until_ms - clock_ms();
		n = poll(&p, 1, left_ms > 0 ? (int)left_ms : 0);
	} while (n < 0 && errno == EINTR);
	r->late = n == 0;
	return n > 0;
}

static bool reader_take(struct reader *r, void *out, size_t length)
{
	uint8_t *at = out;
	while (length > 0) {
		if (r->start == r->end) {
			ssize_t n = is_readable(r) ? read(r->fd, r->bytes, sizeof(r->bytes)) : -1;
			if (n <= 0)
				return false;
			r->start = 0;
			r->end = (size_t)n;
		}
		size_t piece = r->end - r->start < length ? r->end - r->start : length;
		memcpy(at, r->bytes + r->start, piece);
		r->start += piece;
		at += piece;
		length -= piece;
	}
	return true;
}

/* False: it has nothing more to say, or said what cannot be. */
static bool reader_next(struct reader *r, struct message *out)
{
	return reader_take(r, &out->head, sizeof(out->head)) &&
	       out->head.key_bytes <= sizeof(out->key) &&
	       out->head.value_bytes <= sizeof(out->value) &&
	       reader_take(r, out->key, out->head.key_bytes) &&
	       reader_take(r, out->value, out->head.value_bytes);
}

/* -- one table -- */

struct table {
	const char *path;
	enum salvage_pass pass;
	salvage_visit *visit;
	void *arg;
	struct salvage_sums *sums;
	bool whole; /* no record of it was left out */
	bool has_item;
	struct salvage_item item; /* to be completed by what comes next */
	struct message message;
};

static int give(struct table *t)
{
	bool has = t->has_item;
	t->has_item = false;
	return has ? t->visit(t->arg, &t->item) : 0;
}

static bool decode(struct table *t)
{
	const struct message *m = &t->message;
	uint64_t number = 0;
	if (t->pass == PASS_WISHES) {
		t->item.kind = SALVAGE_WISH;
		return record_pending_decode(&t->item.wish, m->key, m->head.key_bytes, m->value,
					     m->head.value_bytes) == 0;
	}
	if (m->head.key_bytes != sizeof(number))
		return false;
	memcpy(&number, m->key, sizeof(number));
	if (t->pass == PASS_NODES) {
		t->item.kind = SALVAGE_NODE;
		return record_node_decode(&t->item.node, number, m->value, m->head.value_bytes) == 0 &&
		       !S_ISDIR(t->item.node.mode);
	}
	t->item.kind = SALVAGE_UPLOAD;
	return record_upload_decode(&t->item.upload, number, m->value, m->head.value_bytes) == 0;
}

static void take_node(struct table *t)
{
	const struct message *m = &t->message;
	uint64_t ino = t->item.wish.ino;
	t->item.has_node = t->has_item && t->pass == PASS_WISHES &&
			   m->head.key_bytes == sizeof(ino) && !memcmp(m->key, &ino, sizeof(ino)) &&
			   record_node_decode(&t->item.node, ino, m->value, m->head.value_bytes) == 0 &&
			   !S_ISDIR(t->item.node.mode);
}

static void take_path(struct table *t)
{
	const struct message *m = &t->message;
	if (m->head.value_bytes > KEY_BYTES_MAX || memchr(m->value, 0, m->head.value_bytes))
		return;
	memcpy(t->item.path, m->value, m->head.value_bytes);
	t->item.path[m->head.value_bytes] = '\0';
}

static void damaged(struct table *t)
{
	t->sums->damaged++;
	t->whole = false;
}

/* 1 = the end was reached in order, 0 = not, -errno of visit. *last: the last record that was said. */
static int take_messages(struct table *t, struct reader *r, struct salvage_place *last)
{
	const struct message *m = &t->message;
	int rc = 0;
	while (rc == 0 && reader_next(r, &t->message)) {
		switch (m->head.word) {
		case SAY_RECORD:
			rc = give(t);
			memcpy(last->bytes, m->key, m->head.key_bytes);
			last->length = m->head.key_bytes;
			memset(&t->item, 0, sizeof(t->item));
			t->has_item = rc == 0 && decode(t);
			if (!t->has_item && rc == 0)
				damaged(t);
			break;
		case SAY_NODE:
			take_node(t);
			break;
		case SAY_PATH:
			take_path(t);
			break;
		case SAY_ALIVE:
			break;
		case SAY_END:
			rc = give(t);
			return rc ? rc : 1;
		default:
			damaged(t);
		}
	}
	return rc ? rc : give(t);
}

static int walk(struct table *t, bool backward, const struct salvage_place *until,
		struct salvage_place *last)
{
	struct salvage_task task = {.path = t->path, .pass = t->pass, .backward = backward};
	struct reader *r AUTO_FREE = malloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	if (until)
		task.until = *until;
	for (unsigned i = 0; i < RESTARTS_MAX; i++) {
		*r = (struct reader){.fd = -1};
		int rc = reader_start(r, &task);
		if (rc != 0)
			return rc;
		*last = task.from;
		rc = take_messages(t, r, last);
		reader_end(r);
		if (rc != 0)
			return rc;
		t->sums->crashes++;
		t->whole = false; /* what it would have said of the last record */
		if (last->length == 0 || (last->length == task.from.length &&
					  !memcmp(last->bytes, task.from.bytes, last->length)))
			return 0; /* no further this way */
		task.from = *last;
	}
	return 0;
}

static int read_table(struct table *t, bool *whole)
{
	struct salvage_place last = {.length = 0}, back = {.length = 0};
	t->whole = true;
	t->has_item = false;
	int rc = walk(t, false, NULL, &last);
	*whole = rc == 1 && t->whole;
	if (rc == 0)
		rc = walk(t, true, &last, &back);
	return rc < 0 ? rc : 0;
}

int salvage_read(const char *folder, salvage_visit *visit, void *arg, struct salvage_sums *out)
{
	AUTO_BUF struct buf path = BUF_EMPTY;
	struct table *t AUTO_FREE = calloc(1, sizeof(*t));
	memset(out, 0, sizeof(*out));
	buf_printf(&path, "%s/index.mdb", folder);
	if (path.failed || !t)
		return -ENOMEM;
	*t = (struct table){.path = buf_string(&path), .visit = visit, .arg = arg, .sums = out};
	t->pass = PASS_WISHES;
	int rc = read_table(t, &out->wishes_whole);
	t->pass = PASS_NODES;
	if (rc == 0)
		rc = read_table(t, &out->nodes_whole);
	t->pass = PASS_UPLOADS;
	if (rc == 0)
		rc = read_table(t, &out->uploads_whole);
	return rc;
}

/* -- the check -- */

int salvage_check(const char *folder, int64_t limit_ms, struct buf *why)
{
	AUTO_BUF struct buf path = BUF_EMPTY;
	struct reader *r AUTO_FREE = calloc(1, sizeof(*r));
	struct message *m AUTO_FREE = malloc(sizeof(*m));
	buf_printf(&path, "%s/index.mdb", folder);
	if (path.failed || !r || !m)
		return -ENOMEM;
	const struct salvage_task task = {.path = buf_string(&path), .pass = PASS_CHECK};
	r->deadline_ms = clock_ms() + limit_ms;
	int rc = reader_start(r, &task);
	if (rc != 0)
		return rc;
	bool said = reader_next(r, m);
	reader_end(r);
	if (said && m->head.word == SAY_END)
		return 0;
	if (said)
		buf_append(why, m->value, m->head.value_bytes);
	else if (r->late)
		return 0;
	else
		buf_text(why, "reading it crashes");
	return -EUCLEAN;
}

/* -- what it is -- */

static void take_fact(const struct message *m, struct salvage_facts *out)
{
	struct counters counters;
	size_t length = m->head.value_bytes;
	char name[16] = "";
	memcpy(name, m->key, m->head.key_bytes < sizeof(name) ? m->head.key_bytes : 0);
	if (!strcmp(name, "format") && record_number_decode(&out->format, m->value, length) != 0)
		out->format = 0;
	if (!strcmp(name, "identity") && length < sizeof(out->identity) &&
	    !memchr(m->value, 0, length)) {
		memcpy(out->identity, m->value, length);
		out->identity[length] = '\0';
	}
	if (!strcmp(name, "counters") && record_counters_decode(&counters, m->value, length) == 0)
		out->next_blob = counters.next_blob;
}

static int look_inside(const char *folder, struct salvage_facts *out)
{
	AUTO_BUF struct buf path = BUF_EMPTY;
	struct reader *r AUTO_FREE = calloc(1, sizeof(*r));
	struct message *m AUTO_FREE = malloc(sizeof(*m));
	buf_printf(&path, "%s/index.mdb", folder);
	if (path.failed || !r || !m)
		return -ENOMEM;
	const struct salvage_task task = {.path = buf_string(&path), .pass = PASS_MAIN};
	int rc = reader_start(r, &task);
	if (rc != 0)
		return rc;
	while (reader_next(r, m) && m->head.word == SAY_RECORD)
		take_fact(m, out);
	reader_end(r);
	return 0;
}

struct state {
	int folder_fd, file_fd; /* file_fd -1 = there is none */
	int file_rc;
	bool has_steady; /* or the one before it */
	struct steady file, steady;
	char boot_id[STEADY_BOOT_BYTES];
};

static int state_open(const char *folder, const char *boot_id, struct state *s)
{
	*s = (struct state){.folder_fd = -1, .file_fd = -1};
	int rc = 0;
	if (boot_id)
		snprintf(s->boot_id, sizeof(s->boot_id), "%s", boot_id);
	else
		rc = steady_boot_id(s->boot_id);
	if (rc != 0)
		return rc;
	s->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->folder_fd < 0)
		return -errno;
	s->file_fd = openat(s->folder_fd, "index.mdb", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (s->file_fd < 0 && errno != ENOENT)
		return -errno;
	if (s->file_fd >= 0)
		s->file_rc = steady_take(s->file_fd, &s->file);
	s->has_steady = steady_read(s->folder_fd, "steady", &s->steady) == 0 ||
			steady_read(s->folder_fd, "steady.old", &s->steady) == 0;
	return 0;
}

static void state_close(struct state *s)
{
	if (s->file_fd >= 0)
		close(s->file_fd);
	if (s->folder_fd >= 0)
		close(s->folder_fd);
}

/* Where this boot's kernel had it all, and the whole index can be read. */
static int redo_journal(const char *folder, const struct state *s)
{
	AUTO_BUF struct buf path = BUF_EMPTY, why = BUF_EMPTY;
	struct journal journal;
	if (s->file_fd < 0 || s->file_rc != 0 || !s->has_steady || strcmp(s->steady.boot_id, s->boot_id) != 0)
		return 0;
	int rc = journal_open(&journal, s->folder_fd, s->file.txn, true);
	buf_printf(&path, "%s/index.mdb", folder);
	if (rc == 0 && path.failed)
		rc = -ENOMEM;
	if (rc == 0 && journal.count > 0 && salvage_check(folder, CHECK_MS, &why) == 0)
		rc = salvage_redo(buf_string(&path), &journal);
	journal_close(&journal);
	return rc;
}

int salvage_mend(const char *folder, const char *boot_id)
{
	struct state s;
	struct stat st;
	int rc = state_open(folder, boot_id, &s);
	if (rc == 0 && s.file_fd >= 0 && fstat(s.file_fd, &st) != 0)
		rc = -errno;
	if (rc == 0 && s.file_fd >= 0 && s.file_rc == -EUCLEAN && s.has_steady &&
	    (uint64_t)st.st_size > 2 * (uint64_t)s.steady.page_bytes) {
		rc = index_note_damage(s.folder_fd, true);
		if (rc == 0)
			rc = steady_put_back(s.file_fd, &s.steady);
	}
	if (rc == 0)
		rc = redo_journal(folder, &s);
	state_close(&s);
	return rc;
}

/* What a killed process had acknowledged and not brought into index.mdb. */
static int has_journal(const struct state *s, bool *out)
{
	struct journal journal;
	int rc = journal_open(&journal, s->folder_fd, s->file.txn, true);
	*out = rc == 0 && journal.count > 0;
	journal_close(&journal);
	return rc;
}

int salvage_look(const char *folder, const char *boot_id, struct salvage_facts *out)
{
	struct state s;
	bool journal = false;
	memset(out, 0, sizeof(*out));
	int rc = state_open(folder, boot_id, &s);
	if (rc == 0)
		rc = has_journal(&s, &journal);
	if (rc == 0) {
		out->has_file = s.file_fd >= 0;
		out->newest = out->has_file && s.file_rc == 0 && s.has_steady && !journal &&
			      !index_was_mended(s.folder_fd) &&
			      !strcmp(s.steady.boot_id, s.boot_id) && s.file.txn >= s.steady.txn;
	}
	state_close(&s);
	if (rc == 0 && out->has_file)
		rc = look_inside(folder, out);
	return rc;
}
