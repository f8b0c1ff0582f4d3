/* Ages against a model: order, sums, replacement. */
#include "index_fixture.h"
#include "cache/index/ages.h"

enum { NODES = 60, STEPS = 3000 };

struct model {
	bool there[NODES];
	uint64_t stamp[NODES], bytes[NODES];
};

struct walk {
	const struct model *model;
	uint64_t count, stop_at, last_stamp, last_ino;
	int rc;
};

static int check(void *arg, uint64_t ino, uint64_t stamp, uint64_t bytes)
{
	struct walk *w = arg;
	assert_true(ino < NODES && w->model->there[ino]);
	assert_int_equal(w->model->stamp[ino], stamp);
	assert_int_equal(w->model->bytes[ino], bytes);
	if (w->count++ > 0)
		assert_true(stamp > w->last_stamp || (stamp == w->last_stamp && ino > w->last_ino));
	w->last_stamp = stamp;
	w->last_ino = ino;
	return w->count == w->stop_at ? w->rc : 0;
}

static void compare(struct txn *txn, const struct model *model)
{
	struct walk w = {.model = model};
	uint64_t count = 0, sum = 0, total;
	for (int i = 0; i < NODES; i++) {
		uint64_t stamp, bytes;
		count += model->there[i];
		sum += model->there[i] ? model->bytes[i] : 0;
		assert_int_equal(ages_get(txn, (uint64_t)i, &stamp, &bytes),
				 model->there[i] ? 0 : -ENOENT);
	}
	assert_int_equal(ages_each(txn, check, &w), 0);
	assert_int_equal(w.count, count);
	assert_int_equal(ages_total(txn, &total), 0);
	assert_int_equal(total, sum);
}

static uint64_t draw_stamp(void)
{
	return draw(20) ? draw(50) : UINT64_MAX - draw(3);
}

static void against_model(void **state)
{
	struct fixture *f = *state;
	struct model model = {0}, kept;
	struct txn *txn = must_write(f->index);
	kept = model;
	for (int step = 0; step < STEPS; step++) {
		uint64_t ino = draw(NODES);
		if (draw(3)) {
			model.there[ino] = true;
			model.stamp[ino] = draw_stamp();
			model.bytes[ino] = draw(2) ? draw(1000) : (uint64_t)1 << draw(50);
			assert_int_equal(ages_touch(txn, ino, model.stamp[ino], model.bytes[ino]),
					 0);
		} else {
			model.there[ino] = false;
			assert_int_equal(ages_delete(txn, ino), 0);
		}
		if (step % 50 != 49)
			continue;
		compare(txn, &model);
		if (draw(4) == 0) {
			txn_abort(&txn);
			model = kept;
		} else {
			assert_int_equal(txn_commit(&txn), 0);
			kept = model;
		}
		txn = must_read(f->index);
		compare(txn, &model);
		txn_abort(&txn);
		txn = must_write(f->index);
	}
	txn_abort(&txn);
}

static void stops(void **state)
{
	struct fixture *f = *state;
	struct model model = {0};
	struct txn *txn = must_write(f->index);
	for (uint64_t i = 0; i < 10; i++) {
		model.there[i] = true;
		model.stamp[i] = 10 - i;
		model.bytes[i] = i;
		assert_int_equal(ages_touch(txn, i, 10 - i, i), 0);
	}
	struct walk w = {.model = &model, .stop_at = 3, .rc = 1};
	assert_int_equal(ages_each(txn, check, &w), 0);
	assert_int_equal(w.count, 3);
	w = (struct walk){.model = &model, .stop_at = 2, .rc = -EINTR};
	assert_int_equal(ages_each(txn, check, &w), -EINTR);
	txn_abort(&txn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(against_model, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(stops, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
