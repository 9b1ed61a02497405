export default { name: 'mediawiki' };
