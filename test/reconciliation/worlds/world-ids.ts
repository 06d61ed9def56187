import { hash } from 'node:crypto';

/** Uuid of something in a world: the same for the same world and label, so that rows can be found again. */
export function idOf(world: string, label: string): string {
  const hex = hash('md5', `${world}\n${label}`);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}

/** Uuid of a world's organization. */
export const organizationOf = (world: string): string => idOf(world, 'organization');

/** Zoom account that a world's connection names; equal labels in two worlds are two accounts. */
export const accountOf = (world: string, label: string): string => `acc_${world}_${label}`;
