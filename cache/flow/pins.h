/* Pins: files and folders whose content is to stay in the cache. What lies below a pinned folder, by its node's first name,
 * is held with it, also what is added later. Evicting takes held content last of all (evict.h).
 *
 * They are kept in the index (meta "pin."), and by their ino, so that a rename does not lose them; an index that was lost
 * takes them along. Thread-safe; leaf locks and write transactions of its own. */
#ifndef TOOTFS_PINS_H
#define TOOTFS_PINS_H

#include "cache/index/nodes.h"
#include "flow.h"

enum { PINS_MAX = 1024 };

struct pins;

int pins_open(struct flow *flow, struct pins **out) MUST_CHECK;
void pins_close(struct pins **pins);
/* 0 also where it is pinned already; -ENOENT: no such node; -EMLINK: there are PINS_MAX. */
int pins_add(struct pins *p, uint64_t ino) MUST_CHECK;
int pins_remove(struct pins *p, uint64_t ino) MUST_CHECK; /* -ENOENT: it is not pinned itself */
/* Ascending; how many. */
size_t pins_list(struct pins *p, uint64_t out[PINS_MAX]);
/* Is there any? p may be NULL. */
bool pins_any(struct pins *p);
/* Is it pinned, or below what is? 1, 0 or -errno. Leaf lock only. p may be NULL. */
int pins_hold(struct pins *p, struct txn *txn, const struct node_record *record) MUST_CHECK;

#endif
