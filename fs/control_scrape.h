/* The counters by HTTP on a port of the loopback interface (metrics=ADDRESS:PORT), for Prometheus. Any user of this computer
 * may read them: they hold figures, the bucket's name and the mount point. */
#ifndef TOOTFS_CONTROL_SCRAPE_H
#define TOOTFS_CONTROL_SCRAPE_H

#include "control.h"

struct scrape;
int scrape_start(const struct control_config *config, struct scrape **out, struct buf *why) MUST_CHECK;
void scrape_stop(struct scrape **scrape); /* *scrape may be NULL */

#endif
