import { domainToASCII } from 'node:url';
import type { World, WorldDirectory, WorldMember, WorldZoomUser } from './oracle-world.ts';

/** How a member's Zoom user was found, or why not (docs/behaviour.md, "Finding the Zoom user"). */
export type Match =
  | { readonly how: 'mapping' | 'email'; readonly user: WorldZoomUser }
  | { readonly how: 'not_verified' | 'ambiguous' | 'none' | 'checking' };

/** An address as addresses are compared: trimmed, NFC, A–Z folded and nothing else, domain in ASCII. */
export function addressKey(email: string): string {
  const address = email.trim().normalize('NFC');
  const at = address.lastIndexOf('@');
  if (at < 0) return foldAscii(address);
  const domain = address.slice(at + 1);
  return `${foldAscii(address.slice(0, at))}@${domainToASCII(domain) || foldAscii(domain)}`;
}

/** The key of a member's or Zoom user's address. Remembered by object: in a large world everybody is compared with everybody. */
function keyOf(owner: WorldMember | WorldZoomUser): string {
  const known = keys.get(owner);
  if (known !== undefined) return known;
  const key = addressKey(owner.email);
  keys.set(owner, key);
  return key;
}

const keys = new WeakMap<WorldMember | WorldZoomUser, string>();

const foldAscii = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

/** Key of a Zoom user in our copy: the id, or the address while Zoom has given no id. */
export const zoomUserKey = (user: WorldZoomUser): string => user.id ?? `pending:${keyOf(user)}`;

/** The Zoom user of a member in the connected Zoom account. */
export function matchOf(world: World, member: WorldMember): Match {
  const mapped = mappedUser(world, member);
  if (mapped) return { how: 'mapping', user: mapped };

  const kept = earlierUser(world, member);
  if (kept) return { how: 'email', user: kept };

  if (!member.emailVerified) return { how: 'not_verified' };

  const key = keyOf(member);
  const directory = directoryOf(world);
  const users = directory.users.filter((user) => keyOf(user) === key);
  if (othersWith(world, member, key).length > 0 || users.length > 1) return { how: 'ambiguous' };

  const [user] = users;
  if (user) return { how: 'email', user };

  const walkedSince = directory.walked && member.addressSeenBeforeWalk;
  const lookedUp = directory.notFound.some((address) => addressKey(address) === key);
  return { how: walkedSince || lookedUp ? 'none' : 'checking' };
}

/** Nothing is known of users where no account ever was. */
function directoryOf({ connection, directory }: World): WorldDirectory {
  return connection?.zoomAccountId ? directory : { walked: false, users: [], notFound: [] };
}

/** Other active members whose verified address has this key. */
function othersWith(world: World, { id }: WorldMember, key: string): WorldMember[] {
  return world.members.filter(
    (other) => other.id !== id && other.active && other.emailVerified && keyOf(other) === key,
  );
}

/** A mapping holds for its own Zoom account, as long as its user is there. */
function mappedUser(world: World, { mapping }: WorldMember): WorldZoomUser | undefined {
  if (!mapping || mapping.zoomAccountId !== world.connection?.zoomAccountId) return undefined;
  return directoryOf(world).users.find((user) => user.id === mapping.zoomUserId);
}

/** A match by e-mail holds by Zoom user id until the user is gone or another member's verified address is theirs. */
function earlierUser(world: World, member: WorldMember): WorldZoomUser | undefined {
  const user = directoryOf(world).users.find(({ id }) => id !== null && id === member.earlierMatch);
  return user && othersWith(world, member, keyOf(user)).length === 0 ? user : undefined;
}
