/* Steps lie within the bytes that came in; written again, they are read as the same steps. */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include "cache/index/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	const uint8_t *start, *end;
	struct buf again;
	uint64_t hash;
};

static void mix(struct seen *s, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	for (size_t i = 0; i < length; i++)
		s->hash = (s->hash ^ at[i]) * 1099511628211u;
	s->hash = (s->hash ^ length) * 1099511628211u;
}

static int see(void *arg, const struct journal_step *step)
{
	struct seen *s = arg;
	assert(step->key >= s->start && step->key + step->key_bytes <= s->end);
	mix(s, &step->table, sizeof(step->table));
	mix(s, step->key, step->key_bytes);
	if (step->is_delete) {
		assert(!step->value && step->value_bytes == 0);
		journal_note_delete(&s->again, step->table, step->key, step->key_bytes);
		return 0;
	}
	assert(step->value >= s->start && step->value + step->value_bytes <= s->end);
	mix(s, step->value, step->value_bytes);
	journal_note_put(&s->again, step->table, step->key, step->key_bytes, step->value, step->value_bytes);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen first = {.start = data, .end = data + size, .again = BUF_EMPTY};
	int rc = journal_steps(data, size, see, &first);

	assert(rc == 0 || rc == -EUCLEAN);
	if (rc == 0 && size > 0) {
		const uint8_t *bytes = (const uint8_t *)first.again.data;
		struct seen second = {.start = bytes, .end = bytes + first.again.length, .again = BUF_EMPTY};
		assert(!first.again.failed && first.again.length <= size);
		assert(journal_steps(bytes, first.again.length, see, &second) == 0);
		assert(second.hash == first.hash);
		buf_destroy(&second.again);
	}
	buf_destroy(&first.again);
	return 0;
}
