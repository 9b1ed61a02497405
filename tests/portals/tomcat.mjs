// Tomcat of Debian: the login of the servlet specification, whose address is one at the end of any path, and the
// manager with HTTP's own passwords.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { ask, cookieHeader } from './http.mjs';
import { place, start } from './processes.mjs';

const HOME = '/usr/share/tomcat10';
const PASSWORD = 'mainsail-and-jib-7';
const base = path.join(place, 'tomcat');
const LOGIN = { j_username: 'clerk', j_password: PASSWORD };
const PROTECTED = '/examples/jsp/security/protected';
const basic = `Basic ${Buffer.from(`clerk:${PASSWORD}`).toString('base64')}`;

export default {
  name: 'tomcat',

  async prepare(port) {
    for (const name of ['conf', 'logs', 'temp', 'webapps', 'work']) mkdirSync(path.join(base, name), { recursive: true });
    for (const name of ['web.xml', 'catalina.properties', 'context.xml', 'logging.properties']) {
      cpSync(`/etc/tomcat10/${name}`, path.join(base, 'conf', name), { dereference: true });
    }
    cpSync('/usr/share/tomcat10-examples/examples', path.join(base, 'webapps/examples'), { recursive: true, dereference: true });
    cpSync('/usr/share/tomcat10-root/default_root', path.join(base, 'webapps/ROOT'), { recursive: true, dereference: true });
    cpSync('/usr/share/tomcat10-admin/manager', path.join(base, 'webapps/manager'), { recursive: true, dereference: true });
    writeFileSync(path.join(base, 'webapps/manager/META-INF/context.xml'), '<Context privileged="true"/>');
    writeFileSync(path.join(base, 'conf/tomcat-users.xml'), `<tomcat-users>
  <role rolename="tomcat"/><role rolename="role1"/><role rolename="manager-gui"/><role rolename="manager-script"/>
  <user username="clerk" password="${PASSWORD}" roles="tomcat,role1,manager-gui,manager-script"/>
</tomcat-users>`);
    writeFileSync(path.join(base, 'conf/server.xml'), `<Server port="-1">
  <GlobalNamingResources>
    <Resource name="UserDatabase" type="org.apache.catalina.UserDatabase" factory="org.apache.catalina.users.MemoryUserDatabaseFactory" pathname="conf/tomcat-users.xml"/>
  </GlobalNamingResources>
  <Service name="Catalina">
    <Connector address="127.0.0.1" port="${port}" protocol="HTTP/1.1" server="tomcat"/>
    <Engine name="Catalina" defaultHost="localhost">
      <Realm className="org.apache.catalina.realm.UserDatabaseRealm" resourceName="UserDatabase"/>
      <Host name="localhost" appBase="webapps" unpackWARs="false" autoDeploy="false"/>
    </Engine>
  </Service>
</Server>`);
    const url = `http://127.0.0.1:${port}`;
    await start('tomcat', `${HOME}/bin/catalina.sh`, ['run'], {
      env: { CATALINA_HOME: HOME, CATALINA_BASE: base, CATALINA_TMPDIR: path.join(base, 'temp'), JAVA_OPTS: '-Djava.awt.headless=true -Xmx256m -XX:TieredStopAtLevel=1' },
      ready: async () => (await ask(url, { target: '/' })).status === 200,
    });
    this.url = url;
  },

  /** The form belongs to a session that was sent to it. */
  async newSession() {
    return { SESSION: cookieHeader((await ask(this.url, { target: `${PROTECTED}/index.jsp` })).cookies) };
  },
  member: { target: `${PROTECTED}/index.jsp` },
  shows: (answer) => /You are logged in as remote user\s*<b>clerk|Tomcat Web Application Manager<\/|OK - Listed applications/.test(answer.text),
  state: async () => '',

  entrances: () => [
    {
      name: 'form login',
      path: `${PROTECTED}/j_security_check`,
      fields: LOGIN,
      cookie: 'SESSION',
      more: [
        { method: 'GET', target: `${PROTECTED}/j_security_check?j_username=clerk&j_password=${PASSWORD}` },
        { target: '/examples/j_security_check' },
        { target: '/examples/any/depth/of/it/j_security_check' },
        { target: '/examples/servlets/j_security_check?x=.css' },
        { target: '/examples/servlets/style.css/j_security_check' },
        { target: '/examples;x=y/j_security_check' },
        { target: '/examples/%6a_security_check' },
        { target: '/examples/j%5Fsecurity_check' },
        { target: '/examples/jsp/../j_security_check' },
        { target: '/examples/x%2f..%2fj_security_check' },
        { target: '/examples/j_security_check;jsessionid=x' },
      ],
    },
    {
      name: 'manager',
      method: 'GET',
      path: '/manager/html',
      headers: { authorization: basic },
      effect: 'shows',
      more: [
        { target: '/manager/text/list' },
        { target: '/manager/html/' },
        { target: '/MANAGER/html' },
        { target: '/manager;x/html' },
        { target: '/%6danager/html' },
        { target: '/manager/html', headers: { authorization: basic.replace('Basic', 'BASIC') } },
        { target: '/manager/html', headers: { authorization: ['Bearer x', basic] } },
      ],
    },
  ],

  work: () => [
    { name: 'front page', target: '/', shows: 'It works' },
    { name: 'examples', target: '/examples/', shows: 'Apache Tomcat Examples' },
    { name: 'a servlet', target: '/examples/servlets/servlet/HelloWorldExample', shows: 'Hello' },
    { name: 'a page', target: '/examples/jsp/jsp2/el/basic-arithmetic.jsp', shows: 'Basic Arithmetic' },
    { name: 'a picture', target: '/examples/servlets/images/code.gif', status: 200 },
    {
      name: 'a form with a session',
      steps: async (ask) => {
        const fields = { dataname: 'berth', datavalue: 'seven' };
        const put = await ask({ method: 'POST', target: '/examples/servlets/servlet/SessionExample', fields });
        const read = await ask({ target: '/examples/servlets/servlet/SessionExample' });
        return put.status === 200 && read.text.includes('berth = seven');
      },
    },
  ],
};
