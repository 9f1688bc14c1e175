/* Work that can wait, such as loading a million users, on a thread beside
 * others that cannot: it naps after each short stretch, so that whoever is
 * ready runs on this processor. By naps and not by a priority, since a filter
 * of system calls may refuse to change that (deploy/gatepost.service does), and
 * since there are schedulers that let the lowest one finish its slice. */
#ifndef CONFIG_PACE_H
#define CONFIG_PACE_H

/* How much of the processor's time a stretch takes, and little more; how long
 * a nap is at least. */
enum {
    PACE_STRETCH_US = 250,
    PACE_NAP_US = 50
};

/* From now on the calling thread naps, and no other. */
void pace_begin(void);
void pace_end(void);

/* Naps if a stretch is over; nothing on a thread that has not begun. To be
 * called again and again: it looks at the clock in one call of sixteen. */
void pace(void);

/* Has Jansson call pace(), too, whenever it frees: for each member that it
 * parses at least once. To be called before there is a second thread. */
void pace_jansson(void);

#endif
