/**
 * Where the main app keeps the locations of an event type: as rows of `steward_app.locations`, or as a JSON
 * array in `steward_app.event_types.locations`. Everything above the SQL treats both alike.
 */
export type LocationAdapter = 'rows' | 'json';
