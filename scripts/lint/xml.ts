/** What keeps a text from being XML, in sentences; empty when nothing does. */
import { DOMParser } from '@xmldom/xmldom';

export const xmlFindings = (text: string): string[] => {
  const findings: string[] = [];
  try {
    const document = new DOMParser({
      onError: (level, message) => void findings.push(`${level}: ${message}`),
    }).parseFromString(text, 'text/xml');
    if (!document.documentElement) findings.push('has no element');
  } catch (error) {
    if (findings.length === 0) findings.push(error instanceof Error ? error.message : String(error));
  }
  return findings;
};
