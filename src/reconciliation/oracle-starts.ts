import type { Answer } from './oracle-members.ts';
import type { World, WorldEventType, WorldLocation } from './oracle-world.ts';

/**
 * The rule of docs/behaviour.md about event types that start with Zoom, written to be read: what a look makes of an event
 * type after everything else was settled. No I/O; the engine's two adapters are compared with it.
 */
export function startWithZoom(world: World, eventType: WorldEventType, servers: readonly Answer[]): WorldEventType {
  const { connection, settings } = world;
  const { start, locations, archives } = eventType;
  if (!settings.zoomForNew || !eventType.isNew || connection?.observe) return eventType;
  if (connection?.state !== 'active' && connection?.state !== 'interrupted') return eventType;
  if (start !== null && start.state !== 'waiting') return eventType;
  if (locations.some(({ kind }) => kind === 'zoom_conference') || archives.length > 0)
    return { ...eventType, start: { state: 'had' } };
  if (start !== null && JSON.stringify(start.seen) !== JSON.stringify(locations))
    return { ...eventType, start: { state: 'left' } };
  if (connection.state !== 'active' || !servers.some(({ hosting }) => hosting === 'can_host'))
    return { ...eventType, start: { state: 'waiting', seen: locations } };
  const zoom: WorldLocation = { id: `new Zoom of ${eventType.id}`, kind: 'zoom_conference', details: {} };
  return { ...eventType, locations: [zoom, ...locations], needsLocation: false, start: { state: 'added' } };
}
