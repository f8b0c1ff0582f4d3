/* What a bucket can get wrong in an answer, and what a reader gets then: the real S3 client and real fills, from a server
 * that lies in every way there is. Nothing but the object's bytes is ever present in a blob, with the one exception
 * that fill_check.c documents, and when the server is honest again, so are the reads. */
#include "s3_fixture.h"

#include <stdio.h>
#include <sys/stat.h>
#include "cache/base/clock.h"
#include "cache/flow/fill_internal.h"
#include "cache/index/names.h"
#include "tests/support/rig.h"

enum { KIB = 1 << 10, MIB = 1 << 20, SMALL = 100000, LARGE = 5 * MIB + 12345, STEP = 128 * KIB, MORE = 100 };

enum lie {
	HONEST,
	TRUNCATED,
	LONGER_SAID,
	LONGER_SENT,
	ERROR_BODY,
	ERROR_BODY_WITH_ETAG,
	OTHER_VERSION,
	OTHER_LENGTH,
	WRONG_BYTES,
	WRONG_RANGE,
	NO_RANGE,
	GARBAGE_RANGE,
	WHOLE_FOR_RANGE,
	PART_FOR_WHOLE,
	NO_ETAG,
	NO_LENGTH,
	GARBAGE_HEADERS,
	NO_HTTP,
	LIES,
};

struct lab {
	struct rig rig;
	struct server *server;
	pthread_mutex_t mutex;
	char endpoint[64];
	/* mutex */
	enum lie lie;
	unsigned left, skip;   /* so many answers lie, after so many that do not */
	unsigned gets;
	uint64_t size;
	const char *etag;      /* NULL = the MD5 */
	const char *more;      /* headers of every answer */
	bool sha256_asked, ranged;
	char known[33], known_seed, *bytes; /* the last object's MD5, and its bytes and some more */
	uint64_t known_size;
	bool gate, at_gate;    /* the second half of a body does not come while gate is set */
};

/* Byte i of an object is faulty_byte(its name's last letter, i). */
static void fill_bytes(char seed, uint64_t first, size_t length, char *out)
{
	for (size_t i = 0; i < length; i++)
		out[i] = (char)faulty_byte((unsigned char)seed, first + i);
}

/* Made once, since a body of MiBs takes its time. */
static void know_locked(struct lab *lab, char seed)
{
	unsigned char md5[16];

	if (lab->known_seed == seed && lab->known_size == lab->size)
		return;
	free(lab->bytes);
	lab->bytes = malloc(lab->size + MORE);
	assert_non_null(lab->bytes);
	fill_bytes(seed, 0, lab->size + MORE, lab->bytes);
	assert_int_equal(EVP_Digest(lab->bytes, lab->size, md5, NULL, EVP_md5(), NULL), 1);
	hex_encode(lab->known, md5, 16);
	lab->known_seed = seed;
	lab->known_size = lab->size;
}

static void etag_of(struct lab *lab, char seed, char out[64])
{
	know_locked(lab, seed);
	memcpy(out, lab->known, sizeof(lab->known));
}

/* -- the server -- */

struct piece {
	uint64_t first, last;
	bool ranged;
	char etag[64];
	enum lie lie;
};

static void send_body(struct lab *lab, struct server_request *q, char *bytes, size_t length)
{
	bool gate;

	server_send(q, bytes, length / 2);
	for (;;) {
		pthread_mutex_lock(&lab->mutex);
		gate = lab->gate;
		lab->at_gate = gate;
		pthread_mutex_unlock(&lab->mutex);
		if (!gate || lab->server->stopping)
			break;
		server_sleep_ms(2);
	}
	server_send(q, bytes + length / 2, length - length / 2);
}

/* The head of an answer; said = the bytes announced. */
static void send_head(const struct lab *lab, const struct server_request *q, const struct piece *p, size_t said)
{
	int status = p->ranged ? 206 : 200;

	if (p->lie == WHOLE_FOR_RANGE)
		status = 200;
	if (p->lie == PART_FOR_WHOLE || p->lie == NO_RANGE)
		status = 206;
	if (p->lie == GARBAGE_HEADERS)
		server_printf(q, "HTTP/1.1 %d \x01\xff\r\n: \r\nETag: \"\x80\x02\r\nContent-Length: 0x10\r\n"
			      "Content-Range: bytes 0-\xc3/\r\n\r\n", status);
	if (p->lie == GARBAGE_HEADERS)
		return;
	server_printf(q, "HTTP/1.1 %d X\r\n", status);
	if (p->lie != NO_LENGTH)
		server_printf(q, "Content-Length: %zu\r\n", said);
	if (p->lie != NO_ETAG)
		server_printf(q, "ETag: \"%s\"\r\n",
			      p->lie == OTHER_VERSION ? "0123456789abcdef0123456789abcdef" : p->etag);
	if (p->lie == GARBAGE_RANGE)
		server_printf(q, "Content-Range: bytes twelve-%d/*\r\n", 77);
	else if (p->lie == PART_FOR_WHOLE)
		server_printf(q, "Content-Range: bytes 0-%zu/%llu\r\n", said - 1, (unsigned long long)lab->size);
	else if (status == 206 && p->lie != NO_RANGE)
		server_printf(q, "Content-Range: bytes %llu-%llu/%llu\r\n",
			      (unsigned long long)p->first + (p->lie == WRONG_RANGE),
			      (unsigned long long)p->last + (p->lie == WRONG_RANGE),
			      (unsigned long long)lab->size + 1 - (p->lie != WRONG_RANGE));
	server_printf(q, "%s%s\r\n", lab->more ? lab->more : "", p->lie == NO_LENGTH ? "Connection: close\r\n" : "");
}

static bool send_error_body(struct server_request *q, const struct piece *p)
{
	static const char body[] = ERROR_XML("InternalError");

	server_printf(q, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n", strlen(body));
	if (p->lie == ERROR_BODY_WITH_ETAG)
		server_printf(q, "ETag: \"%s\"\r\n", p->etag);
	server_printf(q, "\r\n%s", body);
	return true;
}

static bool send_object(struct lab *lab, struct server_request *q, struct piece p)
{
	char seed = q->target[strlen(q->target) - 1];

	if (p.lie == ERROR_BODY || p.lie == ERROR_BODY_WITH_ETAG)
		return send_error_body(q, &p);
	if (p.lie == NO_HTTP)
		server_printf(q, "220 mail.example ESMTP\r\n\r\n");
	if (p.lie == NO_HTTP)
		return false;
	if (p.lie == WHOLE_FOR_RANGE) {
		p.first = 0;
		p.last = lab->size - 1;
	}
	size_t length = (size_t)(p.last - p.first + 1), said = length;
	char *bytes = malloc(length + MORE);
	assert_non_null(bytes);
	pthread_mutex_lock(&lab->mutex);
	know_locked(lab, seed);
	memcpy(bytes, lab->bytes + p.first, length + MORE);
	pthread_mutex_unlock(&lab->mutex);
	if (p.lie == OTHER_VERSION)
		memset(bytes, 'o', length);
	if (p.lie == WRONG_BYTES)
		bytes[length / 3] ^= 0x40;
	if (p.lie == LONGER_SAID)
		said = length += MORE;
	if (p.lie == OTHER_LENGTH)
		said = length -= 7;
	send_head(lab, q, &p, said);
	if (p.lie == TRUNCATED)
		server_send(q, bytes, length / 2);
	else
		send_body(lab, q, bytes, p.lie == LONGER_SENT ? length + MORE : length);
	free(bytes);
	return p.lie != TRUNCATED && p.lie != NO_LENGTH && p.lie != GARBAGE_HEADERS;
}

static bool answer(struct server *s, struct server_request *q)
{
	struct lab *lab = s->arg;
	unsigned long long first = 0, last = 0;
	struct piece p = {.first = 0, .lie = HONEST};
	char if_match[80];

	const char *range = server_header(q, "range");
	const char *asked = server_header(q, "x-amz-checksum-mode");
	pthread_mutex_lock(&lab->mutex);
	lab->sha256_asked = asked && strcmp(asked, "ENABLED") == 0;
	p.last = lab->size - 1;
	p.ranged = range && sscanf(range, "bytes=%llu-%llu", &first, &last) >= 1;
	p.first = first;
	if (last)
		p.last = last;
	if (strcmp(q->method, "GET") == 0) {
		lab->gets++;
		lab->ranged = p.ranged;
		if (lab->skip)
			lab->skip--;
		else if (lab->left && lab->left--)
			p.lie = lab->lie;
	}
	snprintf(p.etag, sizeof(p.etag), "%s", lab->etag ? lab->etag : "");
	if (!lab->etag)
		etag_of(lab, q->target[strlen(q->target) - 1], p.etag);
	pthread_mutex_unlock(&lab->mutex);
	snprintf(if_match, sizeof(if_match), "\"%s\"", p.etag);
	const char *match = server_header(q, "if-match");
	if (match && p.lie == HONEST && strcmp(match, if_match) != 0) {
		server_reply(q, 412, "", ERROR_XML("PreconditionFailed"));
		return true;
	}
	if (strcmp(q->method, "HEAD") == 0) {
		server_printf(q, "HTTP/1.1 200 X\r\nContent-Length: %llu\r\nETag: \"%s\"\r\n\r\n",
			      (unsigned long long)lab->size, p.etag);
		return true;
	}
	return send_object(lab, q, p);
}

static void lie(struct lab *lab, enum lie lie, unsigned skip, unsigned count)
{
	pthread_mutex_lock(&lab->mutex);
	lab->lie = lie;
	lab->skip = skip;
	lab->left = count;
	lab->gets = 0;
	pthread_mutex_unlock(&lab->mutex);
}

static unsigned gets(struct lab *lab)
{
	pthread_mutex_lock(&lab->mutex);
	unsigned count = lab->gets;
	pthread_mutex_unlock(&lab->mutex);
	return count;
}

/* -- the cache -- */

static int setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	assert_non_null(lab);
	fixture_environment();
	pthread_mutex_init(&lab->mutex, NULL);
	lab->server = server_start(answer, lab);
	snprintf(lab->endpoint, sizeof(lab->endpoint), "http://127.0.0.1:%d", lab->server->port);
	rig_init(&lab->rig);
	lab->rig.config.bucket = (struct bucket_config){
		.spec = "s3://media", .endpoint = lab->endpoint, .path_style = -1, .verify = true,
		.io_timeout_ms = 10000, .connections_max = 8,
	};
	lab->size = SMALL;
	*state = lab;
	return 0;
}

static int teardown(void **state)
{
	struct lab *lab = *state;

	pthread_mutex_lock(&lab->mutex);
	lab->gate = false;
	pthread_mutex_unlock(&lab->mutex);
	rig_destroy(&lab->rig);
	server_stop(lab->server);
	pthread_mutex_destroy(&lab->mutex);
	free(lab->bytes);
	free(lab);
	return 0;
}

/* A file with the object's ETag, as a listing leaves it. */
static struct node *node_of(struct lab *lab, const char *name)
{
	struct node_record record;
	struct txn *txn;
	char etag[64];
	uint64_t ino = rig_file(&lab->rig, name, lab->size, 0, 0);

	if (lab->etag)
		snprintf(etag, sizeof(etag), "%s", lab->etag);
	pthread_mutex_lock(&lab->mutex);
	if (!lab->etag)
		etag_of(lab, name[strlen(name) - 1], etag);
	pthread_mutex_unlock(&lab->mutex);
	assert_int_equal(txn_begin_write(lab->rig.cache.flow.index, &txn), 0);
	assert_int_equal(nodes_get(txn, ino, &record), 0);
	snprintf(record.etag, sizeof(record.etag), "%s", etag);
	assert_int_equal(nodes_put(txn, &record), 0);
	assert_int_equal(txn_commit(&txn), 0);
	return rig_node(&lab->rig, ino);
}

static int get(struct lab *lab, struct node *node, uint64_t start, uint64_t end)
{
	return fill_wait_for(lab->rig.cache.flow.fills, node, start, end < lab->size ? end : lab->size);
}

/* As a reader does it, in steps. */
static int read_all(struct lab *lab, struct node *node)
{
	int error = 0;

	for (uint64_t at = 0; at < lab->size && !error; at += STEP)
		error = get(lab, node, at, at + STEP);
	return error;
}

/* Compares the present bytes of [at, at + STEP); *next = where to go on. */
static bool step_is_right(struct lab *lab, struct node *node, char seed, uint64_t at, uint64_t *next)
{
	static char is[STEP], should[STEP];
	uint64_t end = at + STEP < lab->size ? at + STEP : lab->size;
	struct range gap;

	*next = end;
	if (node->locked.content == CONTENT_REMOTE && ranges_gap(&node->locked.present, at, end, &gap)) {
		*next = gap.start == at ? gap.end : gap.start;
		end = gap.start;
	}
	fill_bytes(seed, at, end - at, should);
	return blob_read(node->locked.open->fd, at, is, end - at) == 0 && memcmp(is, should, end - at) == 0;
}

/* Whatever counts as present has the object's bytes. */
static bool present_is_right(struct lab *lab, struct node *node, char seed)
{
	bool right = true;

	lock_take(&node->lock);
	bool some = node->locked.blob;
	if (some)
		right = node_open_blob_locked(node) == 0;
	for (uint64_t at = 0; some && right && at < lab->size;)
		right = step_is_right(lab, node, seed, at, &at);
	lock_drop(&node->lock);
	return right;
}

static bool is_clean(struct lab *lab, struct node *node)
{
	rig_rest(node);
	return rig_record(&lab->rig, node_ino(node)).content == CONTENT_CLEAN;
}

/* In the end; a breaker or a pause may want its time. */
static void becomes_right(struct lab *lab, struct node *node, char seed)
{
	int64_t until_ms = clock_ms() + 10000;
	int error;

	while ((error = read_all(lab, node)) && clock_ms() < until_ms)
		server_sleep_ms(20);
	assert_int_equal(error, 0);
	assert_true(is_clean(lab, node));
	assert_true(present_is_right(lab, node, seed));
}

/* -- all lies, to small objects and to large ones -- */

enum outcome { RIGHT, REFUSED, EITHER, SERVED };

static const struct {
	const char *name;
	enum outcome small, large;
} outcomes[LIES] = {
	[TRUNCATED] = {"truncated", REFUSED, REFUSED}, /* each time half of what is missing; the last byte never comes */
	[LONGER_SAID] = {"longer than it should be", REFUSED, REFUSED},
	[LONGER_SENT] = {"longer than it says", EITHER, EITHER}, /* the rest of it may meet the next answer */
	[ERROR_BODY] = {"an error with status 200", REFUSED, REFUSED},
	[ERROR_BODY_WITH_ETAG] = {"an error with status 200 and the ETag", REFUSED, REFUSED},
	[OTHER_VERSION] = {"another version", REFUSED, REFUSED},
	[OTHER_LENGTH] = {"shorter, and says so", REFUSED, REFUSED},
	[WRONG_BYTES] = {"wrong bytes", REFUSED, SERVED}, /* as documented: found when all of it is there */
	[WRONG_RANGE] = {"another range", RIGHT, REFUSED}, /* small: nobody asked for a range */
	[NO_RANGE] = {"a range, but not which", REFUSED, REFUSED},
	[GARBAGE_RANGE] = {"a range that is none", RIGHT, REFUSED},
	[WHOLE_FOR_RANGE] = {"the whole for a range", RIGHT, RIGHT},
	[PART_FOR_WHOLE] = {"a range nobody asked for", REFUSED, REFUSED},
	[NO_ETAG] = {"no ETag", REFUSED, REFUSED},
	[NO_LENGTH] = {"no length", REFUSED, RIGHT}, /* of a range it is known */
	[GARBAGE_HEADERS] = {"headers of garbage", REFUSED, REFUSED},
	[NO_HTTP] = {"no HTTP", REFUSED, REFUSED},
};

static void check_outcome(struct lab *lab, struct node *node, enum lie which, enum outcome outcome)
{
	int64_t until_ms = clock_ms() + 10000;
	bool served = outcome == SERVED;
	int error = read_all(lab, node);

	while ((outcome == RIGHT || served) && error == -EIO && clock_ms() < until_ms)
		error = read_all(lab, node); /* a slow machine */
	print_message("%s of %llu: %s\n", outcomes[which].name, (unsigned long long)lab->size, strerror(-error));
	if (outcome != EITHER || error)
		assert_int_equal(error, outcome == REFUSED || outcome == EITHER ? -EIO : 0);
	rig_rest(node);
	assert_true(present_is_right(lab, node, 'a'));
	if (!served)
		return;
	/* thrown away, and from now on nobody gets anything that is not proved */
	assert_int_equal(rig_record(&lab->rig, node_ino(node)).blob, 0);
	assert_true(rig_was_changed(&lab->rig, node_ino(node)));
	assert_int_equal(get(lab, node, 0, 10), -EIO);
	assert_true(present_is_right(lab, node, 'a'));
}

static void lies(void **state, uint64_t size, bool mid)
{
	struct lab *lab = *state;

	lab->size = size;
	lab->rig.config.bucket.io_timeout_ms = 150; /* most lies are tried again until then */
	rig_start(&lab->rig);
	/* that ETags are MD5s here is known */
	struct node *first = node_of(lab, "a");
	becomes_right(lab, first, 'a');
	for (enum lie which = TRUNCATED; which < LIES; which++) {
		char name[16];
		snprintf(name, sizeof(name), "%d%ca", which, mid ? 'm' : 's');
		struct node *node = node_of(lab, name);
		lie(lab, which, mid ? 1 : 0, UINT32_MAX);
		check_outcome(lab, node, which, size == SMALL ? outcomes[which].small : outcomes[which].large);
		lie(lab, HONEST, 0, 0);
		becomes_right(lab, node, 'a');
		node_put(&node);
	}
	node_put(&first);
	rig_check_space(&lab->rig);
}

static void lies_about_small_objects(void **state)
{
	lies(state, SMALL, false);
}

static void lies_about_large_objects(void **state)
{
	lies(state, LARGE, false);
}

/* The first range is good. */
static void lies_in_the_middle_of_large_objects(void **state)
{
	lies(state, LARGE, true);
}

/* -- small objects -- */

static void wrong_bytes_are_fetched_again(void **state)
{
	static const struct {
		unsigned wrong, gets;
		int error;
	} cases[] = {{1, 2, 0}, {2, 2, -EIO}};
	struct lab *lab = *state;

	rig_start(&lab->rig);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct node *node = node_of(lab, i ? "2a" : "1a");
		lie(lab, WRONG_BYTES, 0, cases[i].wrong);
		assert_int_equal(get(lab, node, 5, 10), cases[i].error);
		assert_int_equal(gets(lab), cases[i].gets);
		assert_int_equal(is_clean(lab, node), !cases[i].error);
		assert_int_equal(node->locked.present.count, !cases[i].error);
		becomes_right(lab, node, 'a');
		node_put(&node);
	}
	rig_check_space(&lab->rig);
}

struct waited {
	struct fill_wait wait;
	atomic_int answers, error;
};

static void answered(struct fill_wait *wait, int error)
{
	struct waited *w = container_of(wait, struct waited, wait);

	w->error = error;
	w->answers++;
}

static void set_gate(struct lab *lab, bool shut)
{
	pthread_mutex_lock(&lab->mutex);
	lab->gate = shut;
	lab->at_gate = false;
	pthread_mutex_unlock(&lab->mutex);
}

static bool stands_at_gate(struct lab *lab)
{
	bool stands = false;

	for (int i = 0; i < 10000 && !stands; i++) {
		server_sleep_ms(1);
		pthread_mutex_lock(&lab->mutex);
		stands = lab->at_gate;
		pthread_mutex_unlock(&lab->mutex);
	}
	return stands;
}

/* With verify, the first bytes are not given away before the last ones came; without it, they are. */
static void nobody_gets_what_is_not_proved(void **state)
{
	struct lab *lab = *state;

	for (int verify = 0; verify < 2; verify++) {
		lab->rig.config.bucket.verify = verify;
		rig_start(&lab->rig);
		struct node *node = node_of(lab, verify ? "yes-a" : "no-a");
		struct waited w = {.wait = {.start = 0, .end = 10, .done = answered}};
		set_gate(lab, true);
		lock_take(&node->lock);
		fill_want_locked(lab->rig.cache.flow.fills, node, &w.wait);
		lock_drop(&node->lock);
		assert_true(stands_at_gate(lab));
		for (int i = 0; i < (verify ? 50 : 5000) && !w.answers; i++)
			server_sleep_ms(1);
		assert_int_equal(w.answers, !verify);
		set_gate(lab, false);
		becomes_right(lab, node, 'a');
		assert_int_equal(w.answers, 1);
		assert_int_equal(w.error, 0);
		node_put(&node);
		rig_stop(&lab->rig);
	}
}

static void verify_off_believes(void **state)
{
	struct lab *lab = *state;

	lab->rig.config.bucket.verify = false;
	rig_start(&lab->rig);
	struct node *node = node_of(lab, "a");
	lie(lab, WRONG_BYTES, 0, 1);
	assert_int_equal(get(lab, node, 0, SMALL), 0);
	assert_true(is_clean(lab, node));
	assert_false(present_is_right(lab, node, 'a'));
	node_put(&node);
}

/* -- servers whose ETags are no MD5s -- */

static void three_objects_that_seem_wrong_are_a_rule(void **state)
{
	static const int answers[] = {-EIO, -EIO, 0, 0};
	struct lab *lab = *state;

	lab->etag = "ffffffffffffffffffffffffffffffff";
	rig_start(&lab->rig);
	for (size_t i = 0; i < COUNT(answers); i++) {
		char name[8], etag[40];
		snprintf(name, sizeof(name), "%zua", i);
		snprintf(etag, sizeof(etag), "%032zx", i);
		lab->etag = etag;
		struct node *node = node_of(lab, name);
		for (int again = 0; again < 2; again++) /* the same object does not count again */
			assert_int_equal(get(lab, node, 0, SMALL), answers[i]);
		assert_int_equal(is_clean(lab, node), !answers[i]);
		node_put(&node);
		lab->etag = NULL;
	}
}

static void what_is_known_is_not_unlearned_by_reading(void **state)
{
	struct lab *lab = *state;

	rig_start(&lab->rig);
	struct node *good = node_of(lab, "a");
	becomes_right(lab, good, 'a');
	node_put(&good);
	for (int i = 0; i < 5; i++) {
		char name[8], etag[40];
		snprintf(name, sizeof(name), "%da", i);
		snprintf(etag, sizeof(etag), "%032x", i);
		lab->etag = etag;
		struct node *node = node_of(lab, name);
		assert_int_equal(get(lab, node, 0, SMALL), -EIO);
		node_put(&node);
		lab->etag = NULL;
	}
}

static void some_etags_say_that_they_are_none(void **state)
{
	static const struct {
		const char *etag, *more;
		int error;
	} cases[] = {
		{"11111111111111111111111111111111", "x-amz-server-side-encryption: aws:kms\r\n", 0},
		{"22222222222222222222222222222222", "x-amz-server-side-encryption: aws:kms:dsse\r\n", 0},
		{"33333333333333333333333333333333",
		 "x-amz-server-side-encryption-customer-algorithm: AES256\r\n", 0},
		{"44444444444444444444444444444444-3", NULL, 0},
		{"no-md5", NULL, 0},
		{"55555555555555555555555555555555", "x-amz-server-side-encryption: AES256\r\n", -EIO},
	};
	struct lab *lab = *state;

	rig_start(&lab->rig);
	for (int large = 0; large < 2; large++)
		for (size_t i = 0; i < COUNT(cases); i++) {
			char name[8];
			snprintf(name, sizeof(name), "%d%zua", large, i);
			lab->size = large ? LARGE : SMALL;
			lab->etag = cases[i].etag;
			lab->more = cases[i].more;
			struct node *node = node_of(lab, name);
			assert_int_equal(read_all(lab, node), large ? 0 : cases[i].error);
			assert_int_equal(is_clean(lab, node), !cases[i].error);
			node_put(&node);
			lab->etag = lab->more = NULL;
		}
}

/* -- the stored checksum -- */

static void a_stored_checksum_counts_more(void **state)
{
	struct lab *lab = *state;
	unsigned char sha256[32], base64[48];
	char header[100], *bytes = malloc(SMALL);

	fill_bytes('a', 0, SMALL, bytes);
	EVP_Digest(bytes, SMALL, sha256, NULL, EVP_sha256(), NULL);
	free(bytes);
	lab->rig.config.bucket.checksum_sha256 = true;
	rig_start(&lab->rig);
	for (int wrong = 0; wrong < 2; wrong++) {
		sha256[0] ^= (unsigned char)wrong;
		EVP_EncodeBlock(base64, sha256, 32);
		snprintf(header, sizeof(header), "x-amz-checksum-sha256: %s\r\n", base64);
		lab->more = header;
		lab->etag = wrong ? NULL : "77777777777777777777777777777777";
		struct node *node = node_of(lab, wrong ? "1a" : "0a");
		assert_int_equal(get(lab, node, 0, SMALL), wrong ? -EIO : 0);
		pthread_mutex_lock(&lab->mutex);
		bool asked = lab->sha256_asked, ranged = lab->ranged;
		pthread_mutex_unlock(&lab->mutex);
		assert_true(asked);
		assert_false(ranged);
		node_put(&node);
		lab->etag = lab->more = NULL;
	}
}

/* -- large objects -- */

/* A byte that rots on the disk before the rest arrives is found too: it is the blob that is read back. */
static void the_blob_is_read_back(void **state)
{
	struct lab *lab = *state;

	lab->size = LARGE;
	rig_start(&lab->rig);
	for (int rot = 0; rot < 2; rot++) {
		struct node *node = node_of(lab, rot ? "rot-a" : "good-a");
		uint64_t half = LARGE / 2, epoch = node->locked.epoch;
		assert_int_equal(get(lab, node, 0, half), 0);
		rig_rest(node);
		assert_int_equal(rig_record(&lab->rig, node_ino(node)).content, CONTENT_REMOTE);
		lock_take(&node->lock);
		int error = node_open_blob_locked(node);
		if (!error && rot)
			error = blob_write(node->locked.open->fd, 1000, "rot", 3);
		lock_drop(&node->lock);
		assert_int_equal(error, 0);
		for (uint64_t at = half; at < LARGE; at += STEP)
			assert_int_equal(get(lab, node, at, at + STEP), 0);
		assert_int_equal(is_clean(lab, node), !rot);
		assert_int_equal(node->locked.epoch - epoch, rot);
		assert_int_equal(rig_record(&lab->rig, node_ino(node)).blob != 0, !rot);
		becomes_right(lab, node, 'a');
		node_put(&node);
	}
	rig_check_space(&lab->rig);
}

/* Who needs all of it in order to build on it gets it when it is proved, be it the second time. */
static void who_builds_on_it_waits_for_the_proof(void **state)
{
	struct lab *lab = *state;

	lab->size = LARGE;
	rig_start(&lab->rig);
	struct node *node = node_of(lab, "a");
	lie(lab, WRONG_BYTES, 1, 1);
	assert_int_equal(get(lab, node, 0, LARGE), 0);
	lock_take(&node->lock);
	enum content content = node->locked.content;
	lock_drop(&node->lock);
	assert_int_equal(content, CONTENT_CLEAN);
	assert_true(present_is_right(lab, node, 'a'));
	assert_int_equal(node->locked.epoch, 1);
	node_put(&node);
	rig_check_space(&lab->rig);
}

/* The last byte comes when the fills are to stop, so there is no check: the next start does not take it for whole. */
static void what_was_not_checked_is_not_whole_after_a_restart(void **state)
{
	struct lab *lab = *state;
	struct waited w = {.wait = {.start = MIB, .end = LARGE, .done = answered}};

	lab->size = LARGE;
	rig_start(&lab->rig);
	struct node *node = node_of(lab, "a");
	uint64_t ino = node_ino(node);
	assert_int_equal(get(lab, node, 0, MIB), 0);
	rig_rest(node);
	set_gate(lab, true);
	lock_take(&node->lock);
	fill_want_locked(lab->rig.cache.flow.fills, node, &w.wait);
	lock_drop(&node->lock);
	assert_true(stands_at_gate(lab));
	lab->rig.cache.flow.fills->stopping = true;
	set_gate(lab, false);
	rig_rest(node);
	assert_int_equal(w.answers, 1);
	node_put(&node);
	rig_stop(&lab->rig);

	rig_start(&lab->rig);
	struct node_record record = rig_record(&lab->rig, ino);
	assert_int_equal(record.content, CONTENT_REMOTE);
	assert_true(record.blob && record.present_bytes);
	node = rig_node(&lab->rig, ino);
	assert_false(ranges_cover(&node->locked.present, 0, LARGE));
	lie(lab, HONEST, 0, 0);
	becomes_right(lab, node, 'a');
	assert_int_equal(gets(lab), 1); /* of its last piece */
	node_put(&node);
	rig_check_space(&lab->rig);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(lies_about_small_objects),
		T(lies_about_large_objects),
		T(lies_in_the_middle_of_large_objects),
		T(wrong_bytes_are_fetched_again),
		T(nobody_gets_what_is_not_proved),
		T(verify_off_believes),
		T(three_objects_that_seem_wrong_are_a_rule),
		T(what_is_known_is_not_unlearned_by_reading),
		T(some_etags_say_that_they_are_none),
		T(a_stored_checksum_counts_more),
		T(the_blob_is_read_back),
		T(who_builds_on_it_waits_for_the_proof),
		T(what_was_not_checked_is_not_whole_after_a_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
