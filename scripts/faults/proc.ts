import { readdirSync, readFileSync } from 'node:fs';

/** A file of /proc, or nothing where there is none. */
export const readText = (file: string): string => {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
};

export const countFiles = (folder: string): number | null => {
  try {
    return readdirSync(folder).length;
  } catch {
    return null;
  }
};
