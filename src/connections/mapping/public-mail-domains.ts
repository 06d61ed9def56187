/**
 * Providers at which anybody gets an address: who has a name there is nobody's to say, so they mean the same people as no
 * other domain. The largest consumer providers with the domains they hand out; not meant to be complete: a domain must
 * also be known in the organization (see `changeEquivalence`).
 */
export const publicMailDomains: ReadonlySet<string> = new Set(
  `aol.com bk.ru comcast.net daum.net fastmail.com free.fr freenet.de gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net googlemail.com
   hanmail.net hotmail.co.uk hotmail.com hotmail.de hotmail.fr hotmail.it icloud.com inbox.ru laposte.net libero.it live.co.uk
   live.com live.fr mac.com mail.com mail.ru me.com msn.com naver.com orange.fr outlook.com outlook.de outlook.fr pm.me proton.me
   protonmail.com qq.com rambler.ru rediffmail.com seznam.cz sina.com t-online.de tutanota.com uol.com.br virgilio.it web.de
   wp.pl yahoo.co.in yahoo.co.jp yahoo.co.uk yahoo.com yahoo.com.br yahoo.de yahoo.es yahoo.fr yahoo.it yandex.com yandex.ru
   ymail.com zoho.com 126.com 163.com`
    .split(/\s+/)
    .filter((domain) => domain !== ''),
);
